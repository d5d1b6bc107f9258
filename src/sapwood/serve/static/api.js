// The server's OpenAI-compatible API: a list of models, and chat completions as a stream of events.

/** A request that failed. kind: "auth", "busy", "unavailable", "invalid", "server", "network" or "lost". */
export class ApiError extends Error {
  constructor(kind, message, { status = 0, retryAfter = null } = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter; // seconds, or null
  }
}

function headers(key, body) {
  const all = {};
  if (body) all["content-type"] = "application/json";
  if (key) all.authorization = `Bearer ${key}`;
  return all;
}

// RFC 9110: Retry-After is a number of seconds or a date.
function retryAfter(response) {
  const value = response.headers.get("retry-after");
  if (!value) return null;
  const seconds = /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : null;
}

const KINDS = {
  401: "auth", 429: "busy", 502: "unavailable", 503: "unavailable", 504: "unavailable",
  engine_overloaded: "busy", engine_dead: "unavailable", server_draining: "unavailable", // `code` of our own errors
};

async function failure(response) {
  let message = "";
  try {
    const body = JSON.parse(await response.text());
    message = body?.error?.message || body?.detail || body?.message || "";
  } catch {
    // A proxy's page, or nothing: the status has to do.
  }
  const status = response.status;
  const kind = KINDS[status] || (status < 500 ? "invalid" : "server");
  if (typeof message !== "string" || !message) message = `The server answered ${status} ${response.statusText}`.trim();
  return new ApiError(kind, message, { status, retryAfter: retryAfter(response) });
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("network", "The server cannot be reached.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

/** The models that the server offers: [{id, max_model_len?}]. */
export async function listModels(key) {
  const response = await request("v1/models", { headers: headers(key) });
  try {
    return (await response.json()).data.filter((model) => typeof model.id === "string");
  } catch {
    throw new ApiError("server", "The server's list of models cannot be read.");
  }
}

/** The data of each server-sent event in a stream of bytes, wherever the network cut it. */
export async function* readEvents(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A carriage return at the end may be half of a line end.
      const held = !done && rest.endsWith("\r") ? 1 : 0;
      const lines = rest.slice(0, rest.length - held).split(/\r\n|\n|\r/);
      rest = lines.pop() + (held ? "\r" : "");
      for (const line of lines) {
        if (line === "") {
          if (data.length) yield data.join("\n");
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line[5] === " " ? 6 : 5));
        }
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The chunks of a streamed chat completion. Throws ApiError; "lost" when the stream ends before the answer does. */
export async function* streamChat(body, key, signal) {
  const response = await request("v1/chat/completions", {
    method: "POST",
    headers: headers(key, body),
    body: JSON.stringify(body),
    signal,
  });
  let finished = false;
  try {
    for await (const data of readEvents(response.body)) {
      if (data.trim() === "[DONE]") return;
      let chunk;
      try {
        chunk = JSON.parse(data);
      } catch {
        throw new ApiError("server", "The server sent an event that is not JSON.");
      }
      if (chunk.error) {
        throw new ApiError(KINDS[chunk.error.code] || "server", chunk.error.message || "The server reported an error.");
      }
      if (chunk.choices?.[0]?.finish_reason) finished = true;
      yield chunk;
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError("lost", "The connection was lost before the answer was complete.");
  }
  if (!finished) throw new ApiError("lost", "The connection ended before the answer was complete.");
}
