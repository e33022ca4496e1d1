"""What a model behind pydantic-ai reads: a function stands for the model."""

import asyncio
from importlib.metadata import version

from calls import connection, serve
from fastmcp.client.transports import StreamableHttpTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel


async def main(url: str, key: str) -> None:
    toolset = MCPToolset(StreamableHttpTransport(url, headers={"Authorization": f"Bearer {key}"}))
    async with toolset:

        async def read(tool: str, arguments: dict[str, object]) -> object:
            shown: list[str] = []

            def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
                for part in messages[-1].parts:
                    if isinstance(part, ToolReturnPart):
                        shown.append(part.model_response_str())
                    elif isinstance(part, RetryPromptPart):
                        shown.append(part.model_response())
                return ModelResponse(parts=[TextPart("done") if shown else ToolCallPart(tool, arguments)])

            await Agent(FunctionModel(model), toolsets=[toolset]).run("go")
            return shown

        await serve(read, version("pydantic-ai-slim"))


if __name__ == "__main__":
    asyncio.run(main(*connection()))
