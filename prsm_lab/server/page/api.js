// The server's HTTP interface: requests with the key, faults with their remedies, and streams of events.

const WIDE_MODELS = "application/vnd.prsm+json";
const NO_KEY_CHARACTER = /[^\x21-\x7e]/;

const REMEDIES = {
  401: "Check that the whole key was pasted, or ask the person who shares this server for a new one.",
  402: "Ask the person who shares this server for more credit, or choose a cheaper model or fewer max tokens.",
  403: "This key may not do that; ask the person who shares this server.",
  404: "Choose another model from the list.",
  413: "Shorten the prompt.",
  500: "This is a fault of the server; its log has the details under the request's number.",
  503: "Run again in a moment, or choose another model.",
};

/** A fault as the page shows it: message, remedy, and the code to quote. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "", details = null, retryAfter = null, requestId = "", remedy } = {}) {
    super(message);
    Object.assign(this, { status, code, details, retryAfter, requestId });
    this.remedy = remedy ?? this.#whatToDo();
  }

  #whatToDo() {
    const told = this.details?.remedy ?? this.details?.hint;
    if (typeof told === "string") return told;
    if (this.status === 429) {
      return this.retryAfter === null ? "Wait a moment, then run again." : `Run again in ${this.retryAfter} s.`;
    }
    return REMEDIES[this.status] ?? "";
  }
}

/** A path of the API with a query; relative, so that the page works behind any prefix. */
function address(path, query) {
  return query ? `${path}?${new URLSearchParams(query)}` : path;
}

function seconds(headers) {
  const given = headers.get("Retry-After") ?? headers.get("X-RateLimit-Retry-After");
  const number = Number.parseFloat(given);
  return Number.isFinite(number) ? Math.ceil(number) : null;
}

function fromBody(error, rest) {
  const { code = "", message = "", details = null } = error && typeof error === "object" ? error : {};
  return new ApiError(String(message || code || "The server gave no reason."), { code: String(code), details, ...rest });
}

/** The fault in an answer that is not 2xx; a proxy in between may answer with anything, so JSON is not taken for granted. */
async function refusal(response) {
  const rest = {
    status: response.status,
    retryAfter: seconds(response.headers),
    requestId: response.headers.get("X-Request-Id") ?? "",
  };
  const body = await response.json().catch(() => null);
  if (body?.error) return fromBody(body.error, rest);
  return new ApiError(`The server answered ${response.status} ${response.statusText}`.trim(), rest);
}

/** Split a stream of bytes into server-sent events: {event, data}. Lines may end in CR, LF or both, anywhere in a chunk. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let halfLineEnd = false; // the last chunk ended in CR: an LF that follows belongs to it
  let name = "";
  let data = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return; // An event that no blank line ended is not one.
      if (value === "") continue;
      rest += halfLineEnd && value.startsWith("\n") ? value.slice(1) : value;
      halfLineEnd = value.endsWith("\r");
      const lines = rest.split(/\r\n|\n|\r/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { event: name || "message", data: data.join("\n") };
          name = "";
          data = [];
        } else if (!line.startsWith(":")) {
          const colon = line.indexOf(":");
          const field = colon < 0 ? line : line.slice(0, colon);
          const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
          if (field === "data") data.push(text);
          else if (field === "event") name = text;
        }
      }
    }
  } finally {
    // Whoever stops reading closes the connection, and with it the provider's work.
    reader.cancel().catch(() => {});
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError("The server sent an event that is not JSON.", { code: "malformed_stream", remedy: "Run again." });
  }
}

/** The API for one key. The key lives in this closure and nowhere else. */
export function connect(key, { onRefused } = {}) {
  async function send(path, { method = "GET", accept = "application/json", body, signal } = {}) {
    if (NO_KEY_CHARACTER.test(key)) {
      throw new ApiError("This is not a key: it has spaces or letters that no key has.", { status: 401, code: "authentication" });
    }
    // Not in Authorization: a proxy in front may have that for a login of its own.
    const headers = { "X-API-Key": key, Accept: accept };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      // A redirect would carry a prompt to a place that nobody chose.
      response = await fetch(path, {
        method, headers, signal, cache: "no-store", redirect: "error", body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (fault) {
      if (signal?.aborted) throw fault;
      throw new ApiError("The server cannot be reached.", { code: "connection", remedy: "Check that it still runs, then try again." });
    }
    if (response.ok) return response;
    const error = await refusal(response);
    if (error.status === 401) onRefused?.(error);
    throw error;
  }

  async function get(path, { query, ...options } = {}) {
    const response = await send(address(path, query), options);
    return response.json().catch((fault) => {
      if (options.signal?.aborted) throw fault;
      throw new ApiError("The server's answer is not JSON.", { code: "malformed_answer", remedy: "Does a proxy stand in between?" });
    });
  }

  /** The chunks of one streamed inference; ends only after [DONE], everything else is a fault. */
  async function* stream(body, signal) {
    const response = await send("v1/inference/stream", { method: "POST", accept: "text/event-stream", body, signal });
    const requestId = response.headers.get("X-Request-Id") ?? "";
    try {
      for await (const { event, data } of events(response.body)) {
        if (event === "error") throw fromBody(parsed(data).error, { requestId, remedy: "The text so far is kept. Run again." });
        if (data === "[DONE]") return;
        yield parsed(data);
      }
    } catch (fault) {
      if (fault instanceof ApiError || signal.aborted) throw fault;
      throw new ApiError("The connection broke off.", { code: "connection", requestId, remedy: "The text so far is kept. Run again." });
    }
    throw new ApiError("The stream ended before the answer did.", { code: "connection", requestId, remedy: "The text so far is kept. Run again." });
  }

  return {
    stream,
    me: (signal) => get("v1/keys/me", { signal }),
    models: (signal) => get("v1/models", { accept: WIDE_MODELS, signal }),
    history: (signal) => get("v1/inference", { query: { limit: 50 }, signal }),
    usage: (timeframe, signal) => get("v1/inference/analytics", { query: { timeframe, group_by: "day,model" }, signal }),
  };
}
