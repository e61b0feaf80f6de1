/** Bytes to lines, and lines to server-sent events. Both take bytes as they come, cut anywhere. */
import { ProviderError } from './errors.js';

/** Characters of one line or event; a server that sends more is broken, and memory is finite. */
export const LARGEST = 16 * 1024 * 1024;

/** Splits UTF-8 at LF, CRLF and CR only: U+2028 and its like are text. */
export class Lines {
  #decoder = new TextDecoder();
  #open = '';
  #afterCR = false;

  /**
   * @param {Uint8Array} bytes
   * @returns {string[]} The lines that these bytes complete.
   */
  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (this.#afterCR && text.startsWith('\n')) {
      text = text.slice(1);
      this.#afterCR = false;
    }
    if (text === '') return [];
    this.#afterCR = text.endsWith('\r');
    // Only the new text is searched, so that one long line in many pieces costs no quadratic time.
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.#open + lines[0];
    this.#open = lines.pop();
    checkSize(Math.max(this.#open.length, lines[0]?.length ?? 0));
    return lines;
  }
}

/** As in the HTML standard, without `id` and `retry`: a generation cannot be resumed. */
export class SSEParser {
  #lines = new Lines();
  #event = '';
  #data = null;

  /**
   * @param {Uint8Array} bytes
   * @returns {{event: string, data: string}[]} The events that these bytes complete.
   */
  push(bytes) {
    const events = [];
    for (const line of this.#lines.push(bytes)) {
      if (line === '') {
        if (this.#data !== null) events.push({ event: this.#event || 'message', data: this.#data });
        this.#event = '';
        this.#data = null;
      } else {
        this.#field(line);
      }
    }
    return events;
  }

  #field(line) {
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment: the heartbeat
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'event') this.#event = value;
    if (name !== 'data') return;
    this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    checkSize(this.#data.length);
  }
}

/** The JSON object of an event or a line. */
export function parseObject(text) {
  try {
    const value = JSON.parse(text);
    if (value !== null && typeof value === 'object') return value;
  } catch {
    // told below
  }
  throw new ProviderError('The server sent an event that is not a JSON object.', { details: { kind: 'malformed' } });
}

function checkSize(length) {
  if (length <= LARGEST) return;
  throw new ProviderError(`The server sent one event of more than ${LARGEST} characters.`,
    { details: { kind: 'too_large' } });
}
