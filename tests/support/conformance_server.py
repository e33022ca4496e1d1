"""The server that the MCP conformance suite's scenarios ask for: `conformance_server.py`, or as an application."""

import base64
import json
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    AudioContent,
    Completion,
    EmbeddedResource,
    ImageContent,
    SamplingMessage,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel, Field

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = base64.b64encode(
    b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0"
).decode()
READS = ToolAnnotations(read_only_hint=True)


class Answer(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    name: str = Field(default="John Doe", description="User name")
    age: int = Field(default=30, description="User age")
    score: float = Field(default=95.5, description="User score")
    status: str = Field(
        default="active",
        description="User status",
        json_schema_extra={"enum": ["active", "inactive", "pending"]},
    )
    verified: bool = Field(default=True, description="Verification status")


def _resource(uri: str, text: str, kind: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=kind, text=text))


def server() -> MCPServer:
    """All that the scenarios call."""
    mcp = MCPServer("conformance", version="1.0", log_level="ERROR")

    @mcp.tool(annotations=READS)
    def test_simple_text() -> str:
        """Give a text."""
        return "This is a simple text response for testing."

    @mcp.tool(annotations=READS)
    def test_image_content() -> list[Any]:
        """Give a picture."""
        return [ImageContent(type="image", data=PIXEL, mime_type="image/png")]

    @mcp.tool(annotations=READS)
    def test_audio_content() -> list[Any]:
        """Give a sound."""
        return [AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")]

    @mcp.tool(annotations=READS)
    def test_embedded_resource() -> list[Any]:
        """Give a resource."""
        return [_resource("test://embedded-resource", "This is an embedded resource content.")]

    @mcp.tool(annotations=READS)
    def test_multiple_content_types() -> list[Any]:
        """Give a bit of each."""
        return [
            TextContent(type="text", text="Multiple content types test:"),
            ImageContent(type="image", data=PIXEL, mime_type="image/png"),
            _resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
        ]

    @mcp.tool(annotations=READS)
    async def test_tool_with_logging(context: Context[Any, Any]) -> str:
        """Log something meanwhile."""
        for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await context.session.send_log_message("info", words, related_request_id=context.request_id)
        return "Tool with logging executed successfully"

    @mcp.tool(annotations=READS)
    async def test_tool_with_progress(context: Context[Any, Any]) -> str:
        """Report progress meanwhile."""
        for reached in (0, 50, 100):
            await context.report_progress(reached, 100, f"Completed step {reached} of 100")
        return "done"

    @mcp.tool(annotations=READS)
    def test_error_handling() -> str:
        """Fail."""
        raise ToolError("This tool intentionally returns an error for testing")

    @mcp.tool(annotations=READS)
    async def test_sampling(prompt: str, context: Context[Any, Any]) -> str:
        """Ask the client's model."""
        asked = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        answer = await context.session.create_message([asked], max_tokens=100)
        return f"LLM response: {getattr(answer.content, 'text', '')}"

    @mcp.tool(annotations=READS)
    async def test_elicitation(message: str, context: Context[Any, Any]) -> str:
        """Ask the client's user."""
        answer = await context.elicit(message, Answer)
        return f"User response: {answer.action}"

    @mcp.tool(annotations=READS)
    async def test_elicitation_sep1034_defaults(context: Context[Any, Any]) -> str:
        """Ask with defaults."""
        answer = await context.elicit("Please review the defaults", Defaults)
        return f"Elicitation completed: action={answer.action}"

    @mcp.tool(annotations=READS)
    def test_reconnection() -> str:
        """Answer, without a stream that breaks."""
        return "Reconnection test completed successfully"

    @mcp.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @mcp.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """A picture."""
        return base64.b64decode(PIXEL)

    @mcp.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """By its id."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @mcp.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """One that may change."""
        return "Watched resource content"

    @mcp.prompt()
    def test_simple_prompt() -> str:
        """A prompt."""
        return "This is a simple prompt for testing."

    @mcp.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt of two arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @mcp.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Any]:
        """A prompt with a resource."""
        return [UserMessage(_resource(resourceUri, "Embedded resource content for testing."))]

    @mcp.prompt()
    def test_prompt_with_image() -> list[Any]:
        """A prompt with a picture."""
        return [UserMessage(ImageContent(type="image", data=PIXEL, mime_type="image/png"))]

    @mcp.completion()
    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        return Completion(values=[], total=0, has_more=False)

    return mcp
