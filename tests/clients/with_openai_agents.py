"""What a model behind openai-agents reads: a class stands for the model."""

import asyncio
import json
from importlib.metadata import version
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from agents.mcp import MCPServerStreamableHttp
from calls import connection, serve
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText


class Caller(Model):
    """Calls one tool once, and keeps what it is shown."""

    def __init__(self, tool: str, arguments: dict[str, object]) -> None:
        self.shown: list[object] = []
        self._call = ResponseFunctionToolCall(
            type="function_call", call_id="1", name=tool, arguments=json.dumps(arguments)
        )

    async def get_response(
        self, system_instructions: str | None, input: Any, *more: Any, **named: Any
    ) -> ModelResponse:
        outputs = [item["output"] for item in input if isinstance(item, dict) and "output" in item]
        self.shown += outputs
        said = ResponseOutputText(type="output_text", text="done", annotations=[])
        done = ResponseOutputMessage(id="1", type="message", role="assistant", status="completed", content=[said])
        return ModelResponse(output=[done if outputs else self._call], usage=Usage(), response_id=None)

    def stream_response(self, *given: Any, **named: Any) -> Any:
        raise NotImplementedError


async def main(url: str, key: str) -> None:
    server = MCPServerStreamableHttp({"url": url, "headers": {"Authorization": f"Bearer {key}"}})
    async with server:

        async def read(tool: str, arguments: dict[str, object]) -> object:
            model = Caller(tool, arguments)
            agent = Agent(name="agent", model=model, mcp_servers=[server])
            await Runner.run(agent, "go", run_config=RunConfig(tracing_disabled=True))
            return model.shown

        await serve(read, version("openai-agents"))


if __name__ == "__main__":
    asyncio.run(main(*connection()))
