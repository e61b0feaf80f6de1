/** The client: one server, one key. */
import { Inference } from './inference.js';
import { Keys } from './keys.js';
import { Models } from './models.js';
import { Transport } from './transport.js';

/** A client of one server with one key. Its methods may be called at the same time. */
export class PRSM {
  #transport;

  /** @param {import('../index.js').PRSMOptions} [options] */
  constructor(options) {
    this.#transport = new Transport(options);
    this.inference = new Inference(this.#transport);
    this.models = new Models(this.#transport);
    this.keys = new Keys(this.#transport);
  }

  get baseURL() {
    return this.#transport.baseURL;
  }
}
