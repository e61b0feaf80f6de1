/** The life of one call: ended by the caller's signal or by its deadline, whichever comes first. */
import { InvalidRequestError, TimeoutError } from './errors.js';

const LONGEST_TIMER = 2 ** 31 - 1; // setTimeout fires at once above it

export class Scope {
  #controller = new AbortController();
  #caller;
  #forward = () => this.abort(this.#caller.reason);
  #timer;
  #deadline = Infinity;

  /** @param {AbortSignal} [caller] Throws its reason if it was aborted before. */
  constructor(caller) {
    caller?.throwIfAborted();
    this.#caller = caller;
    caller?.addEventListener('abort', this.#forward, { once: true });
  }

  /** For fetch. */
  get signal() {
    return this.#controller.signal;
  }

  /** Milliseconds until the deadline. */
  get left() {
    return this.#deadline - performance.now();
  }

  /** Abort with a TimeoutError in `ms` milliseconds; replaces an earlier deadline. */
  arm(ms) {
    this.disarm();
    if (ms > LONGEST_TIMER) return;
    this.#deadline = performance.now() + ms;
    this.#timer = setTimeout(() => this.abort(new TimeoutError(`Nothing came from the server within ${ms} ms.`)), ms);
  }

  disarm() {
    clearTimeout(this.#timer);
    this.#deadline = Infinity;
  }

  abort(reason) {
    this.#controller.abort(reason);
  }

  /** Throw what ended this call, if it was ended. */
  check() {
    this.signal.throwIfAborted();
  }

  /** Wait; an abort or the deadline rejects at once. */
  sleep(ms) {
    return new Promise((resolve, reject) => {
      const wake = setTimeout(() => {
        this.signal.removeEventListener('abort', stop);
        resolve();
      }, ms);
      const stop = () => {
        clearTimeout(wake);
        reject(this.signal.reason);
      };
      this.signal.addEventListener('abort', stop, { once: true });
    });
  }

  /** Let go of the timer and of the caller's signal, which may outlive this call by far. */
  end() {
    this.disarm();
    this.#caller?.removeEventListener('abort', this.#forward);
  }
}

/** Check a timeout in milliseconds; Infinity means none. */
export function checkTimeout(ms) {
  if (typeof ms === 'number' && ms > 0) return ms;
  throw new InvalidRequestError(`timeout is milliseconds above 0 (Infinity for none), not ${ms}.`,
    { details: { parameter: 'timeout' } });
}
