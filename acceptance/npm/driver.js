// A driver calls operations of one client by their official names, holds what they decode against the client's
// declarations, and keeps what was called and what was wrong for the report.

import { isDeepStrictEqual } from 'node:util';

import { open } from './declarations.js';

const apis = ['AdminApi', 'CoreApi', 'EventsApi', 'PoliciesApi', 'PropertymappingsApi', 'RootApi'];

// tolerated are the fields that may be null though the declarations of 2024.6 have them required: an event may be
// gone, a rule may have no group, and a binding has one of three. 2026.8 declares most of them so.
const tolerated = new Set([
  'Notification.event', 'NotificationRule.groupObj',
  'PolicyBinding.policyObj', 'PolicyBinding.groupObj', 'PolicyBinding.userObj',
]);

export class Driver {
  #name;
  #client;
  #url;
  #methods = new Map(); // by camel-cased operation: the API object and the declared result
  #calls = new Map(); // by operation
  #current; // the call under way, or the last one

  // A driver of the client in a package reports under a name.
  constructor(name, packageName, { url, token }) {
    this.#name = name;
    this.#url = url;
    this.#client = open(packageName);
    const connected = this.#connect(token);
    for (const className of apis) {
      for (const [method, type] of this.#client.declarations.results(className)) {
        this.#methods.set(method, { className, type, api: connected(className) });
      }
    }
  }

  // connect returns a way to make API objects that are signed in with a token.
  #connect(token) {
    const configuration = new this.#client.module.Configuration({
      basePath: `${this.#url}/api/v3`,
      accessToken: token,
      headers: { Authorization: `Bearer ${token}` },
      middleware: [{ post: async ({ response }) => { this.#note(response.status); } }],
    });
    return (className) => new this.#client.module[className](configuration);
  }

  // has says whether the client has an operation.
  has(operation) {
    return this.#methods.has(camel(operation));
  }

  // call calls an operation, which must succeed, and returns what the client decoded.
  async call(operation, parameters, token) {
    const { className, type, api } = this.#begin(operation);
    const target = token ? this.#connect(token)(className) : api;
    const method = target[camel(operation)].bind(target);
    let result;
    try {
      result = await (parameters === undefined ? method() : method(parameters));
    } catch (error) {
      throw await explain(error);
    }
    for (const wrong of this.#client.declarations.faults(type, result, tolerated)) {
      this.wrong(wrong);
    }
    return result;
  }

  // refused calls an operation that must be refused with a status.
  async refused(operation, parameters, status, token) {
    try {
      await this.call(operation, parameters, token);
    } catch (error) {
      if (error.status !== status) {
        this.wrong(`want to be refused with ${status}: ${error.message}`);
      }
      return;
    }
    this.wrong(`not refused with ${status}`);
  }

  // same notes a difference as a fault of the last operation called.
  same(what, got, want) {
    if (!isDeepStrictEqual(got, want)) {
      this.wrong(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
    }
  }

  // kept notes which fields of a request do not come back as they were sent. An answer's null and nothing are one.
  kept(got, sent) {
    for (const [key, value] of Object.entries(sent)) {
      this.same(key, got[key] ?? null, value);
    }
  }

  // wrong notes a fault of the last operation called.
  wrong(message) {
    this.#current.problems.push(message);
  }

  // report lists every operation asked for, and whatever else was called.
  report(operations) {
    const all = new Set([...operations, ...this.#calls.keys()]);
    return [...all].map((operation) => ({
      client: this.#name, operation, has: this.has(operation),
      ...this.#calls.get(operation) ?? { statuses: {}, problems: [] },
    }));
  }

  #begin(operation) {
    if (!this.#calls.has(operation)) {
      this.#calls.set(operation, { statuses: {}, problems: [] });
    }
    this.#current = this.#calls.get(operation);
    const method = this.#methods.get(camel(operation));
    if (!method) {
      throw new Error(`the client has no ${operation}`);
    }
    return method;
  }

  #note(status) {
    this.#current.statuses[status] = (this.#current.statuses[status] ?? 0) + 1;
  }
}

// camel is how the clients spell the name of an operation.
const camel = (operation) => operation.replace(/_+(.)/g, (_, letter) => letter.toUpperCase());

// explain adds to an error what the server said.
async function explain(error) {
  if (error.response) {
    const said = new Error(`${error.response.status}: ${await error.response.text()}`, { cause: error });
    said.status = error.response.status;
    return said;
  }
  return error;
}
