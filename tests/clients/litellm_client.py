"""LiteLLM as a client: a program for an environment of its own, which prints what it was answered as JSON."""

import asyncio
import json
import os

import litellm

litellm.suppress_debug_info = True  # it is printed where the answers are
SERVER = {"api_base": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"]}


def user(prompt: str) -> list[dict[str, str]]:
    """The messages of a prompt."""
    return [{"role": "user", "content": prompt}]


async def together() -> list[str]:
    """Two calls at once."""
    asked = (
        litellm.acompletion(model="openai/gpt-5-mini", messages=user(f"litellm async {at}"), **SERVER) for at in (0, 1)
    )
    return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]


def main() -> None:
    """Ask in each of LiteLLM's ways."""
    chunks = litellm.completion(model="openai/gpt-5-mini", messages=user("litellm stream"), stream=True, **SERVER)
    answers = {
        "completion": litellm.completion(model="openai/gpt-5-mini", messages=user("litellm completion"), **SERVER)
        .choices[0]
        .message.content,
        "acompletion": asyncio.run(together()),
        "stream": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
        "responses": litellm.responses(model="openai/gpt-5-mini", input="litellm responses", **SERVER).output_text,
        "embedding": len(
            litellm.embedding(
                model="openai/text-embedding-3-small", input=["litellm embedding"], dimensions=32, **SERVER
            ).data[0]["embedding"]
        ),
    }
    try:
        litellm.completion(model="openai/gpt-5-mini", messages=user("fail litellm"), **SERVER)
    except litellm.ContextWindowExceededError as error:
        answers["failed"] = [error.status_code, type(error).__name__]
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
