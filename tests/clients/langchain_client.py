"""LangChain as a client: a program for an environment of its own, which prints what it was answered as JSON."""

import json

import openai
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


def main() -> None:
    """Ask in each of LangChain's ways; address and key come from `OPENAI_BASE_URL` and `OPENAI_API_KEY`."""
    model = ChatOpenAI(model="gpt-5-mini")
    tool = {"name": "note", "description": "Take a note.", "parameters": {"type": "object", "properties": {}}}
    answers = {
        "invoke": model.invoke("langchain invoke").content,
        "batch": [answer.content for answer in model.batch(["langchain batch 0", "langchain batch 1"])],
        "stream": "".join(chunk.content for chunk in model.stream("langchain stream")),
        "tool": model.bind_tools([tool]).invoke("langchain tool").tool_calls[0]["args"],
        "responses": ChatOpenAI(model="gpt-5-mini", use_responses_api=True).invoke("langchain responses").text,
        "embedding": len(
            OpenAIEmbeddings(
                model="text-embedding-3-small", dimensions=32, check_embedding_ctx_length=False
            ).embed_query("langchain embedding")
        ),
    }
    try:
        model.invoke("fail langchain")
    except openai.BadRequestError as error:
        answers["failed"] = [error.status_code, error.code]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
