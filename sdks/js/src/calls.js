/** What all calls check before anything is sent. */
import { InvalidRequestError } from './errors.js';

/** Only what every call takes: a mistyped option must not reach the transport. */
export function picked({ signal, timeout } = {}) {
  return { signal, timeout };
}

export function checked(body, parameter) {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) throw invalid(parameter, 'is an object');
  return body;
}

/** One part of a path. URL parsers resolve '.' and '..' even when encoded. */
export function segment(id) {
  const text = String(id ?? '');
  if (['', '.', '..'].includes(text)) throw invalid('id', 'must not be empty, or hold an empty, "." or ".." part');
  return encodeURIComponent(text);
}

export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString(); // lists: a,b
  return text && `?${text}`;
}

export function invalid(parameter, what) {
  return new InvalidRequestError(`${parameter} ${what}.`, { details: { parameter } });
}
