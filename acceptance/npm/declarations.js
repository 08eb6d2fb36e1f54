// What a client's own type declarations promise about what it decodes, read at run time. The generated decoders
// check nothing: a field that the server left out is undefined, a date without a value is 1970 or invalid, and a
// program compiled against these declarations breaks on it later. This is where it breaks here.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);

// open loads a client by the name of its package: the module, and its declarations.
export function open(name) {
  const root = path.dirname(require.resolve(`${name}/package.json`));
  return { module: require(name), declarations: new Declarations(require(name), path.join(root, 'dist')) };
}

// Declarations are the models of one client and the results of its operations.
class Declarations {
  #module;
  #folder;
  #models = new Map();

  constructor(module, folder) {
    this.#module = module;
    this.#folder = folder;
  }

  // results maps the methods of an API class to the types that they promise.
  results(className) {
    const found = new Map();
    for (const [, method, type] of this.#read('apis', className).matchAll(/^ {4}(\w+)\(.*\): Promise<(.+)>;$/gm)) {
      found.set(method, type);
    }
    return found;
  }

  // faults lists where a decoded value is not of a declared type. Keys of tolerated ("Model.field") may be null.
  faults(type, value, tolerated, at = '') {
    const optional = type.replace(/ \| null$/, '');
    if (value === null && optional !== type) {
      return [];
    }
    const inside = (kind) => optional.startsWith(`${kind}<`) && optional.slice(kind.length + 1, -1);
    if (inside('Array')) {
      return Array.isArray(value)
        ? value.flatMap((member, i) => this.faults(inside('Array'), member, tolerated, `${at}[${i}]`))
        : [fault(at, optional, value)];
    }
    if (inside('Map')) {
      return isObject(value)
        ? Object.entries(value).flatMap(([key, member]) => this.faults(inside('Map'), member, tolerated, `${at}.${key}`))
        : [fault(at, optional, value)];
    }
    switch (optional) {
      case 'any':
        return value === undefined ? [fault(at, optional, value)] : [];
      case 'void':
        return value === undefined ? [] : [fault(at, optional, value)];
      case 'string': case 'number': case 'boolean':
        return typeof value === optional ? [] : [fault(at, optional, value)];
      case 'object':
        return isObject(value) ? [] : [fault(at, optional, value)];
      case 'Date': // a null is decoded to the beginning of 1970
        return value instanceof Date && value.getTime() > 0 ? [] : [fault(at, optional, value)];
    }
    return this.#named(optional, value, tolerated, at);
  }

  // named judges a value of an enumeration or of a model, with all that is inside.
  #named(name, value, tolerated, at) {
    const values = this.#module[name];
    if (typeof values === 'object') {
      const known = Object.entries(values).some(([key, member]) => key !== 'UnknownDefaultOpenApi' && member === value);
      return known ? [] : [fault(at, name, value)];
    }
    if (!isObject(value)) {
      return [fault(at, name, value)];
    }
    const faults = this.#module[`instanceOf${name}`](value) ? [] : [`${at || '.'}: not an instance of ${name}`];
    for (const { key, type, required } of this.#model(name)) {
      const member = value[key];
      if ((member === undefined || member === null) && !required || member === null && tolerated.has(`${name}.${key}`)) {
        continue;
      }
      faults.push(...this.faults(type, member, tolerated, `${at}.${key}`));
    }
    return faults;
  }

  // model lists the fields of a model.
  #model(name) {
    if (!this.#models.has(name)) {
      const body = this.#read('models', name).match(/^export interface \w+ \{\n([^]*?)^\}/m);
      if (!body) {
        throw new Error(`no declaration of ${name} is understood`);
      }
      const fields = [...body[1].matchAll(/^ {4}(?:readonly )?(\w+)(\?)?: (.+);$/gm)]
        .map(([, key, mark, type]) => ({ key, type, required: mark === undefined }));
      this.#models.set(name, fields);
    }
    return this.#models.get(name);
  }

  // read reads a declaration file, without comments and with every type on one line.
  #read(kind, name) {
    return readFileSync(path.join(this.#folder, kind, `${name}.d.ts`), 'utf8')
      .replace(/^ *\/\*[^]*?\*\/\n/gm, '')
      .replace(/\{\s*\[key: string\]: ([^;]+);\s*\}/g, 'Map<$1>');
  }
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const fault = (at, type, value) => `${at || '.'}: want ${type}, got ${value instanceof Date ? `Date ${value.getTime()}` : JSON.stringify(value)}`;
