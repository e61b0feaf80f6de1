/** One HTTP call to the server: address, key, deadline, retries, typed errors. */
import {
  AuthenticationError, ConnectionError, errorFrom, InternalError, InvalidRequestError, truncated,
} from './errors.js';
import { retryAfter, retryDelay } from './retry.js';
import { checkTimeout, Scope } from './scope.js';

/**
 * @typedef {object} Call
 * @property {string} method
 * @property {string} path Below the base URL.
 * @property {unknown} [body] Sent as JSON.
 * @property {Record<string, string>} [headers]
 * @property {string} [accept] The media type of the answer, JSON by default; another one is no answer.
 * @property {AbortSignal} [signal]
 * @property {number} [timeout] Milliseconds; the client's own by default.
 * @property {number} [patience] The timeout where neither the call nor the client has one.
 * @property {boolean} [repeatable] May be sent again after its reply was lost, without paying twice.
 */

export class Transport {
  // Private fields, so that neither console.log nor JSON.stringify shows the key.
  #key;
  #proxyToken;
  #base;
  #timeout;
  #maxRetries;
  #fetch;

  constructor({ apiKey, baseURL, proxyToken, timeout, maxRetries = 2, fetch = globalThis.fetch } = {}) {
    const env = globalThis.process?.env ?? {};
    this.#key = checkKey(apiKey || env.PRSM_API_KEY);
    const token = proxyToken || env.PRSM_PROXY_TOKEN;
    this.#proxyToken = token ? checkKey(token) : undefined;
    this.#base = checkBase(baseURL || env.PRSM_API_URL);
    this.#timeout = timeout === undefined ? undefined : checkTimeout(timeout);
    if (!Number.isInteger(maxRetries) || maxRetries < 0) {
      throw new InvalidRequestError(`maxRetries is a whole number from 0 up, not ${maxRetries}.`,
        { details: { parameter: 'maxRetries' } });
    }
    this.#maxRetries = maxRetries;
    this.#fetch = fetch;
  }

  get baseURL() {
    return this.#base;
  }

  /**
   * The parsed answer. Its reading is part of the attempt: a reply that breaks off is as lost as one never begun.
   * @param {Call} call
   * @returns {Promise<object>}
   */
  async json(call) {
    const scope = new Scope(call.signal);
    try {
      return await this.#attempts(call, scope, (response) => this.#parse(response));
    } finally {
      scope.end();
    }
  }

  /**
   * The open answer of a stream as pieces of bytes; ending the iteration, or `scope.abort()`, closes the connection.
   * The timeout bounds the opening, then each silence: a long answer that flows is not cut.
   * @param {Call} call
   * @returns {Promise<{pieces: AsyncGenerator<Uint8Array>, scope: Scope, requestId: string|null}>}
   */
  async open(call) {
    const scope = new Scope(call.signal);
    try {
      const response = await this.#attempts(call, scope, (response) => response);
      scope.disarm();
      const pieces = read(response.body, scope, this.#limit(call));
      return { pieces, scope, requestId: response.headers.get('X-Request-Id') };
    } catch (error) {
      scope.end();
      throw error;
    }
  }

  #limit({ timeout, patience = 60_000 }) {
    return timeout === undefined ? this.#timeout ?? patience : checkTimeout(timeout);
  }

  async #attempts(call, scope, use) {
    const content = call.body === undefined ? undefined : JSON.stringify(call.body); // the same in all attempts
    scope.arm(this.#limit(call));
    for (let attempt = 0; ; attempt++) {
      try {
        return await use(await this.#send(call, content, scope));
      } catch (error) {
        scope.check(); // an abort is thrown as the signal's own reason
        const wait = attempt < this.#maxRetries ? retryDelay(error, attempt, call.repeatable ?? true) : null;
        if (wait === null || wait >= scope.left) throw error;
        await scope.sleep(wait);
      }
    }
  }

  async #send({ method, path, headers, accept = 'application/json' }, content, scope) {
    const fetch = this.#fetch; // a browser's fetch must not be called as a method of something else
    const type = content === undefined ? {} : { 'Content-Type': 'application/json' };
    let response;
    try {
      response = await fetch(this.#base + path, {
        method,
        body: content,
        headers: { Accept: accept, ...this.#credentials(), ...type, ...headers },
        signal: scope.signal,
        redirect: 'manual', // following would turn a POST into a GET
      });
    } catch (cause) {
      const why = cause?.cause?.code ?? cause?.cause?.message ?? cause?.message ?? cause;
      throw new ConnectionError(`Could not reach ${this.#base}: ${why}. Is the server running, and baseURL right?`,
        { details: { kind: 'connection' }, cause });
    }
    if (!response.ok) throw await failure(response, (text) => this.#hideKey(text));
    if (response.headers.get('Content-Type')?.includes(accept)) return response;
    throw this.#stranger(response, await bodyText(response));
  }

  // A proxy that asks for a token of its own, as Jupyter's does, takes Authorization for it.
  #credentials() {
    if (!this.#proxyToken) return { Authorization: `Bearer ${this.#key}` };
    return { Authorization: `Bearer ${this.#proxyToken}`, 'X-API-Key': this.#key };
  }

  async #parse(response) {
    const text = await bodyText(response);
    const value = parsed(text);
    if (value !== null && typeof value === 'object') return value;
    throw this.#stranger(response, text);
  }

  #stranger({ status, headers }, text) {
    return new InternalError(`What answers at ${this.#base} is no PRSM server. Is baseURL right?`,
      { status, requestId: headers.get('X-Request-Id'), details: { body: this.#hideKey(text).slice(0, 200) } });
  }

  /** Some proxies show the headers that they got in their error pages. (A shorter key is none, but may be a word.) */
  #hideKey(text) {
    return this.#key.length < 8 ? text : text.replaceAll(this.#key, '[key]');
  }
}

async function* read(body, scope, silence) {
  const reader = body.getReader();
  try {
    for (;;) {
      // Only while we wait: a reader that takes its time is no fault of the server.
      scope.arm(silence);
      const { done, value } = await reader.read();
      scope.disarm();
      if (done) return;
      yield value;
    }
  } catch (cause) {
    scope.check();
    throw truncated(cause);
  } finally {
    scope.end();
    reader.cancel().catch(() => {}); // already closed, or broken
  }
}

async function failure(response, hideKey) {
  const { status, headers } = response;
  const facts = { status, requestId: headers.get('X-Request-Id'), retryAfter: retryAfter(headers) };
  if (response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    await response.body?.cancel();
    const location = headers.get('Location');
    return new InvalidRequestError(`The server redirects to ${location ?? 'another address'}: set baseURL to that one.`,
      { ...facts, details: { parameter: 'baseURL', location } });
  }
  const text = hideKey(await bodyText(response).catch(() => '')); // the status alone says enough
  const body = parsed(text)?.error;
  return errorFrom(body ?? { details: { body: text.slice(0, 200) } }, facts);
}

async function bodyText(response) {
  try {
    return await response.text();
  } catch (cause) {
    throw new ConnectionError('The connection broke before the answer was whole.',
      { status: response.status, details: { kind: 'truncated' }, cause });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function checkKey(key) {
  if (!key) throw new AuthenticationError('No API key: pass it as new PRSM({ apiKey }), or set PRSM_API_KEY.');
  // fetch would refuse it too, and show it in its message.
  if (typeof key !== 'string' || !/^[\x21-\x7e]+$/.test(key.trim())) {
    throw new AuthenticationError('The API key holds blanks or characters that no key has. Was it copied whole?');
  }
  return key.trim();
}

function checkBase(url) {
  const remedy = 'pass it as new PRSM({ baseURL }), or set PRSM_API_URL, for example to http://127.0.0.1:8000.';
  if (!url) throw new InvalidRequestError(`No server address: ${remedy}`, { details: { parameter: 'baseURL' } });
  let parts;
  try {
    parts = new URL(url);
  } catch {
    parts = {};
  }
  if (!/^https?:$/.test(parts.protocol) || parts.username || parts.password) {
    const what = 'The server address must be http(s)://host…, without a name or password in it';
    throw new InvalidRequestError(`${what}: ${remedy}`, { details: { parameter: 'baseURL' } });
  }
  const path = parts.pathname.replace(/\/+$/, '').replace(/\/v1(\/inference)?$/, '').replace(/\/+$/, '');
  return parts.origin + path;
}
