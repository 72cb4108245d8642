// What an OpenAI client does, with the official Node SDK: the cases of suite.py, under the same names and with the same
// prompts, reported the same way. It takes --timeout (seconds), --retries and --skip case,….

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";

import OpenAI, { toFile } from "openai";

const CHAT_MODEL = "gpt-5-mini";
const PARAMETERS = { type: "object", properties: { said: { type: "string" } } };
const TOOLS = [{ type: "function", function: { name: "note", parameters: PARAMETERS } }];
const RESPONSES_TOOLS = [{ type: "function", strict: null, name: "note", parameters: PARAMETERS }];
const PATIENCE_MS = 120_000;

const user = (prompt) => [{ role: "user", content: prompt }];

async function refused(kind, call) {
  let got;
  try {
    got = await call();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`no ${kind.name} but ${JSON.stringify(got)}`);
}

async function until(look, done) {
  const ends = Date.now() + PATIENCE_MS;
  for (;;) {
    const seen = await look();
    if (done(seen)) return seen;
    assert(Date.now() < ends, `still ${JSON.stringify(seen)}`);
    await pause(250);
  }
}

async function all(iterable) {
  const found = [];
  for await (const item of iterable) found.push(item);
  return found;
}

function linesOf(prefix, prompts) {
  const line = (prompt, at) => ({
    custom_id: `${prefix}${at}`,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model: CHAT_MODEL, messages: user(prompt) },
  });
  return prompts.map((prompt, at) => JSON.stringify(line(prompt, at)) + "\n").join("");
}

async function answersIn(client, fileId) {
  const text = await (await client.files.content(fileId)).text();
  const lines = text.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(new Set(lines.map((line) => line.custom_id)).size, lines.length);
  return Object.fromEntries(lines.map((line) => [line.custom_id, line.response]));
}

const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");

const CASES = {
  async "chat"(client) {
    const completion = await client.chat.completions.create({ model: CHAT_MODEL, messages: user("chat: äöü 😀") });
    assert.equal(completion.object, "chat.completion");
    assert.equal(completion.choices[0].message.content, "chat: äöü 😀");
    assert.equal(completion.choices[0].finish_reason, "stop");
    const { total_tokens, prompt_tokens, completion_tokens } = completion.usage;
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
  },

  async "chat with a tool"(client) {
    const asked = { model: CHAT_MODEL, messages: user("with a tool"), tools: TOOLS };
    const completion = await client.chat.completions.create(asked);
    const [call, ...more] = completion.choices[0].message.tool_calls;
    assert.deepEqual([call.type, call.function.name, more], ["function", "note", []]);
    assert.deepEqual(JSON.parse(call.function.arguments), { said: "with a tool" });
    assert.equal(completion.choices[0].finish_reason, "tool_calls");
  },

  // Two live identical calls are two requests.
  async "twins"(client) {
    const ask = () => client.chat.completions.create({ model: CHAT_MODEL, messages: user("twins") });
    for (const completion of await Promise.all([ask(), ask()])) {
      assert.equal(completion.choices[0].message.content, "twins");
    }
  },

  // The same key and body again is the same request.
  async "idempotency key"(client) {
    const ask = () =>
      client.chat.completions.create(
        { model: CHAT_MODEL, messages: user("once") },
        { headers: { "Idempotency-Key": "suite-once" } },
      );
    const first = await ask();
    assert.equal(first.choices[0].message.content, "once");
    assert.equal((await ask()).id, first.id);
  },

  async "stream"(client) {
    const asked = { model: CHAT_MODEL, messages: user("a stream of words"), stream: true };
    const chunks = await all(await client.chat.completions.create(asked));
    assert.equal(textOf(chunks), "a stream of words");
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    for (const chunk of chunks) {
      assert.deepEqual([chunk.object, chunk.id, chunk.usage ?? null], ["chat.completion.chunk", chunks[0].id, null]);
    }
  },

  async "stream with usage"(client) {
    const asked = { model: CHAT_MODEL, messages: user("a stream, counted"), stream: true };
    const chunks = await all(
      await client.chat.completions.create({ ...asked, stream_options: { include_usage: true } }),
    );
    const last = chunks.pop();
    assert.equal(textOf(chunks), "a stream, counted");
    assert.deepEqual(last.choices, []);
    assert(last.usage.completion_tokens > 0);
    assert(chunks.every((chunk) => chunk.usage == null));
  },

  async "stream with a tool"(client) {
    const stream = client.chat.completions.stream({
      model: CHAT_MODEL,
      messages: user("stream a tool"),
      tools: TOOLS,
    });
    const completion = await stream.finalChatCompletion();
    const [call, ...more] = completion.choices[0].message.tool_calls;
    assert.deepEqual(more, []);
    assert.deepEqual(JSON.parse(call.function.arguments), { said: "stream a tool" });
    assert.equal(completion.choices[0].finish_reason, "tool_calls");
  },

  // An error in a stream that has begun comes as an event, which the SDK throws.
  async "stream that fails"(client) {
    const asked = { model: CHAT_MODEL, messages: user("fail a stream"), stream: true };
    const error = await refused(OpenAI.APIError, async () => all(await client.chat.completions.create(asked)));
    assert.match(error.message, /too long/);
  },

  async "responses"(client) {
    const response = await client.responses.create({ model: CHAT_MODEL, input: "a response" });
    assert.deepEqual(
      [response.object, response.status, response.output_text],
      ["response", "completed", "a response"],
    );
    assert(response.usage.output_tokens > 0);
  },

  async "responses with a tool"(client) {
    const asked = { model: CHAT_MODEL, input: "respond with a tool", tools: RESPONSES_TOOLS };
    const response = await client.responses.create(asked);
    assert.deepEqual(response.output.map((item) => item.type), ["function_call"]);
    assert.deepEqual(JSON.parse(response.output[0].arguments), { said: "respond with a tool" });
  },

  async "responses in the background"(client) {
    const asked = { model: CHAT_MODEL, input: "in the background", background: true };
    const response = await client.responses.create(asked);
    assert(["queued", "in_progress", "completed"].includes(response.status), response.status);
    const ended = await until(
      () => client.responses.retrieve(response.id),
      (seen) => !["queued", "in_progress"].includes(seen.status),
    );
    assert.deepEqual(
      [ended.id, ended.status, ended.output_text],
      [response.id, "completed", "in the background"],
    );
  },

  async "responses cancelled"(client) {
    const asked = { model: CHAT_MODEL, input: "cancel me, response", background: true };
    const response = await client.responses.create(asked);
    assert.equal((await client.responses.cancel(response.id)).status, "cancelled");
    assert.equal((await client.responses.retrieve(response.id)).status, "cancelled");
  },

  // The SDK asks for base64 by itself and decodes it.
  async "embeddings"(client) {
    const embed = async (input) =>
      (await client.embeddings.create({ model: "text-embedding-3-small", input, dimensions: 64 })).data;
    const [first, again, other] = [
      await embed(["embed a", "embed b"]),
      await embed(["embed b", "embed c"]),
      await embed(["embed d"]),
    ];
    assert.deepEqual(first.map((given) => given.index), [0, 1]);
    const lengths = [...first, ...again, ...other].map((given) => given.embedding.length);
    assert.deepEqual(lengths, [64, 64, 64, 64, 64]);
    assert.deepEqual(first[1].embedding, again[0].embedding);
    assert.notDeepEqual(first[0].embedding, first[1].embedding);
  },

  async "embeddings as floats"(client) {
    const asked = { model: "text-embedding-3-small", input: "embed floats", dimensions: 8, encoding_format: "float" };
    const made = await client.embeddings.create(asked);
    assert.deepEqual([made.data.length, made.data[0].embedding.length], [1, 8]);
  },

  async "completions"(client) {
    const completion = await client.completions.create({ model: "gpt-3.5-turbo-instruct", prompt: "complete this" });
    assert.deepEqual([completion.object, completion.choices[0].text], ["text_completion", "complete this"]);
  },

  async "moderations"(client) {
    const moderation = await client.moderations.create({ model: "omni-moderation-latest", input: "moderate this" });
    assert.deepEqual(moderation.results.map((result) => result.flagged), [false]);
  },

  async "models"(client) {
    const models = await all(client.models.list());
    assert(models.some((model) => model.id === CHAT_MODEL));
    assert.equal((await client.models.retrieve(CHAT_MODEL)).id, CHAT_MODEL);
    await refused(OpenAI.NotFoundError, () => client.models.retrieve("no-such-model"));
  },

  async "files"(client) {
    const content = linesOf("f", ["a file"]);
    const file = await toFile(Buffer.from(content), "kept.jsonl");
    const made = await client.files.create({ file, purpose: "batch" });
    assert.deepEqual(
      [made.object, made.filename, made.bytes, made.purpose],
      ["file", "kept.jsonl", content.length, "batch"],
    );
    assert.equal((await client.files.retrieve(made.id)).id, made.id);
    const listed = await all(client.files.list({ purpose: "batch" }));
    assert(listed.some((each) => each.id === made.id));
    assert.equal(await (await client.files.content(made.id)).text(), content);
    assert.equal((await client.files.delete(made.id)).deleted, true);
    await refused(OpenAI.NotFoundError, () => client.files.retrieve(made.id));
  },

  // Right answers with the right custom ids, and a failed line in the error file.
  async "batches"(client) {
    const lines = linesOf("line-", ["batch 0", "batch 1", "fail a line", "batch 3"]);
    const file = await client.files.create({
      file: await toFile(Buffer.from(lines), "lines.jsonl"),
      purpose: "batch",
    });
    const made = await client.batches.create({
      input_file_id: file.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
      metadata: { made: "by a suite" },
    });
    assert.deepEqual([made.object, made.input_file_id], ["batch", file.id]);
    const listed = await all(client.batches.list({ limit: 100 }));
    assert(listed.some((batch) => batch.id === made.id));
    const ended = await until(
      () => client.batches.retrieve(made.id),
      (seen) => ["completed", "failed", "expired", "cancelled"].includes(seen.status),
    );
    assert.deepEqual([ended.status, ended.metadata], ["completed", { made: "by a suite" }]);
    assert.deepEqual(ended.request_counts, { total: 4, completed: 3, failed: 1 });
    const answers = await answersIn(client, ended.output_file_id);
    const said = Object.fromEntries(
      Object.entries(answers).map(([id, answer]) => [id, answer.body.choices[0].message.content]),
    );
    assert.deepEqual(said, { "line-0": "batch 0", "line-1": "batch 1", "line-3": "batch 3" });
    const errors = await answersIn(client, ended.error_file_id);
    assert.deepEqual(Object.keys(errors), ["line-2"]);
    assert.equal(errors["line-2"].status_code, 400);
    assert.equal(errors["line-2"].body.error.code, "context_length_exceeded");
  },

  async "batches cancelled"(client) {
    const lines = linesOf("c-", ["cancel me, batch"]);
    const file = await client.files.create({
      file: await toFile(Buffer.from(lines), "lines.jsonl"),
      purpose: "batch",
    });
    const made = await client.batches.create({
      input_file_id: file.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    });
    assert(["cancelling", "cancelled"].includes((await client.batches.cancel(made.id)).status));
    await until(
      () => client.batches.retrieve(made.id),
      (seen) => seen.status === "cancelled",
    );
  },

  // What the provider said of a row is what the caller gets: its status and its body.
  async "failed row"(client) {
    const error = await refused(OpenAI.BadRequestError, () =>
      client.chat.completions.create({ model: CHAT_MODEL, messages: user("fail a row") }),
    );
    assert.deepEqual(
      [error.status, error.code, error.type],
      [400, "context_length_exceeded", "invalid_request_error"],
    );
    assert.equal(error.error.message, "This prompt is too long: fail a row");
  },

  async "wrong key"(client) {
    const stranger = client.withOptions({ apiKey: "sk-nobody" });
    const error = await refused(OpenAI.AuthenticationError, () =>
      stranger.chat.completions.create({ model: CHAT_MODEL, messages: user("never asked") }),
    );
    assert.deepEqual([error.status, error.code], [401, "invalid_api_key"]);
    await refused(OpenAI.AuthenticationError, () => stranger.batches.list());
  },

  async "unknown model"(client) {
    const error = await refused(OpenAI.NotFoundError, () =>
      client.chat.completions.create({ model: "no-such-model", messages: user("fail: no model") }),
    );
    assert.equal(error.code, "model_not_found");
  },

  async "unknown ids"(client) {
    const { NotFoundError } = OpenAI;
    await refused(NotFoundError, () => client.batches.retrieve("batch_0123456789abcdef0123456789abcdef"));
    await refused(NotFoundError, () => client.batches.cancel("batch_nonsense"));
    await refused(NotFoundError, () => client.files.retrieve("file-0123456789abcdef0123456789abcdef"));
    await refused(NotFoundError, () => client.files.content("file-nonsense"));
  },

  async "unknown response"(client) {
    await refused(OpenAI.NotFoundError, () => client.responses.retrieve("resp_0123456789abcdef0123456789abcdef"));
  },

  async "missing parameter"(client) {
    const error = await refused(OpenAI.BadRequestError, () =>
      client.post("/chat/completions", { body: { model: CHAT_MODEL } }),
    );
    assert.deepEqual([error.type, error.param], ["invalid_request_error", "messages"]);
  },

  async "unsupported parameter"(client) {
    const error = await refused(OpenAI.BadRequestError, () =>
      client.chat.completions.create({ model: CHAT_MODEL, messages: user("never asked"), n: 2 }),
    );
    assert.deepEqual([error.type, error.param], ["invalid_request_error", "n"]);
  },
};

const { values } = parseArgs({
  options: { timeout: { type: "string" }, retries: { type: "string" }, skip: { type: "string", default: "" } },
});
const client = new OpenAI({
  ...(values.timeout && { timeout: Number(values.timeout) * 1000 }),
  ...(values.retries && { maxRetries: Number(values.retries) }),
});
const skipped = new Set(values.skip.split(","));
const running = Object.entries(CASES)
  .filter(([name]) => !skipped.has(name))
  .map(async ([name, run]) => {
    try {
      await run(client);
      console.log(JSON.stringify({ case: name, ok: true }));
      return true;
    } catch (error) {
      console.log(JSON.stringify({ case: name, ok: false, error: error.stack }));
      return false;
    }
  });
process.exitCode = (await Promise.all(running)).every(Boolean) ? 0 : 1;
