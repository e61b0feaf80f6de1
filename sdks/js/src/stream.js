/** An answer as it is written. */
import { errorFrom, PRSMError, truncated } from './errors.js';
import { parseObject, SSEParser } from './sse.js';

/**
 * `for await (const chunk of stream)` or `await stream.result()`, or both in any order. Chunks that `result()` reads
 * are kept for the loop. Breaking out of the loop closes the connection, which stops the provider.
 */
export class Stream {
  #events;
  #scope;
  #requestId;
  #queue = [];
  #pulling = null;
  #ended = false;
  #fault = null;
  #content = '';
  #toolCalls = [];
  #final = {};

  /** @param {{pieces: AsyncGenerator<Uint8Array>, scope: import('./scope.js').Scope, requestId: string|null}} opened */
  constructor({ pieces, scope, requestId }) {
    this.#events = readEvents(pieces);
    this.#scope = scope;
    this.#requestId = requestId;
  }

  /** The text so far. */
  get content() {
    return this.#content;
  }

  /** Read to the end and give the whole answer; throws the stream's fault, if it had one. */
  async result() {
    while (!this.#ended) await this.#pull();
    if (this.#fault) throw this.#fault.error;
    const { id = null, model = null, provider = null, usage = null, cost = null } = this.#final;
    const { latency_ms = null, ttft_ms = null, cached = null, choices } = this.#final;
    const tools = this.#toolCalls.length ? { tool_calls: this.#toolCalls } : {};
    const finish_reason = choices?.[0]?.finish_reason ?? null;
    const figures = { usage, cost, latency_ms, ttft_ms, cached };
    return { id, model, provider, content: this.#content, ...tools, finish_reason, ...figures };
  }

  /** Stop: the connection is closed and the provider with it. */
  close() {
    if (this.#ended) return;
    this.#end(new PRSMError('The stream was closed before its end.',
      { code: 'closed', requestId: this.#requestId, partial: this.#content }));
    this.#queue = [];
    this.#scope.abort(this.#fault.error);
    this.#scope.end();
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        while (!this.#queue.length && !this.#ended) await this.#pull();
        if (!this.#queue.length) break;
        yield this.#queue.shift();
      }
      if (this.#fault && this.#fault.error.code !== 'closed') throw this.#fault.error;
    } finally {
      this.close();
    }
  }

  /** One read at a time, whoever asks for it. */
  #pull() {
    this.#pulling ??= this.#advance().finally(() => {
      this.#pulling = null;
    });
    return this.#pulling;
  }

  async #advance() {
    try {
      const { done, value } = await this.#events.next();
      if (this.#ended) return; // closed meanwhile
      if (done) this.#end();
      else this.#queue.push(this.#take(value));
    } catch (error) {
      if (this.#ended) return;
      if (error instanceof PRSMError) {
        error.partial = this.#content;
        error.requestId ??= this.#requestId;
      }
      this.#end(error);
      this.#scope.abort(error); // whatever is wrong, nobody reads on
      this.#scope.end();
    }
  }

  // The fault is boxed, because the reason of an abort may be any value, even null.
  #end(...error) {
    this.#ended = true;
    if (error.length) this.#fault = { error: error[0] };
  }

  #take(event) {
    const delta = event.choices?.[0]?.delta ?? {};
    if (delta.restart !== undefined) { // another target starts anew: the text so far is void
      this.#content = '';
      this.#toolCalls = [];
    }
    const content = typeof delta.content === 'string' ? delta.content : '';
    this.#content += content;
    for (const call of delta.tool_calls ?? []) this.#addToolCall(call);
    if (event.object === 'inference.completed') this.#final = event;
    return { id: event.id ?? null, content, delta, finish_reason: event.choices?.[0]?.finish_reason ?? null };
  }

  /** Pieces of one call share an index; their arguments are joined. */
  #addToolCall({ index = 0, id, function: piece = {} }) {
    const call = (this.#toolCalls[index] ??= { id: null, type: 'function', function: { name: '', arguments: '' } });
    call.id = id ?? call.id;
    call.function.name = piece.name ?? call.function.name;
    call.function.arguments += piece.arguments ?? '';
  }
}

/** The events' JSON up to [DONE]. */
async function* readEvents(pieces) {
  const parser = new SSEParser();
  for await (const piece of pieces) {
    for (const { event, data } of parser.push(piece)) {
      if (data === '[DONE]') return;
      const value = parseObject(data);
      if (event === 'error' || value.error) throw errorFrom(value.error);
      yield value;
    }
  }
  throw truncated();
}
