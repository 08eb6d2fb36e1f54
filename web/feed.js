// Reads a long list that is ordered by time, newest first, a stretch at a time. It goes on from the time of the last one
// read and not from a page number: what arrives meanwhile shifts nothing, and far down is as fast as the top.
import { get } from "./api.js";

const size = 100;

// feed reads path with the filters of query. more() answers the next ones, [] at the end; news() answers those that came
// since, newest first, or null when they are too many to be read at once: then begin anew. total is how many there are, and atLeast whether there may be more than that.
export function feed(path, query, signal, pageSize = size) {
  const known = new Set();
  let before = query.created__lt ?? "";
  let page = 1;
  let newest = "";
  const self = { done: false, total: 0, atLeast: false, more, news, known };

  async function read(extra, page) {
    return get(path, { ordering: "-created", page_size: pageSize, ...query, ...extra, page: page > 1 ? page : "" }, signal);
  }

  function fresh(results) {
    const added = results.filter((one) => !known.has(one.pk));
    for (const one of added) known.add(one.pk);
    if (results.length && results[0].created > newest) newest = results[0].created;
    return added;
  }

  async function more() {
    if (self.done) return [];
    const first = known.size === 0;
    const answer = await read(before ? { created__lt: before } : {}, page);
    if (first) {
      self.total = answer.pagination.count;
      self.atLeast = self.total >= 10_000 && Object.keys(query).some((key) => query[key] && key !== "actions");
    }
    const results = answer.results;
    self.done = answer.pagination.next === 0;
    const next = results.length ? after(results.at(-1).created) : before;
    if (next === before) page++; // so many of one moment that they fill a page
    else [before, page] = [next, 1];
    return fresh(results);
  }

  async function news() {
    const answer = await read(newest ? { created__gte: newest } : {}, 1);
    if (newest && answer.pagination.next !== 0) return null;
    const added = fresh(answer.results);
    self.total += added.length;
    return added;
  }
  return self;
}

// after is the microsecond after a moment, so that "before it" includes others of the same moment.
function after(moment) {
  const [, whole, fraction = ""] = /^([^.]*?)(?:\.(\d+))?Z$/.exec(moment) ?? [];
  if (whole === undefined) return moment;
  const micros = Number(fraction.padEnd(6, "0").slice(0, 6)) + 1;
  if (micros < 1_000_000) return `${whole}.${String(micros).padStart(6, "0")}Z`;
  return `${new Date(Date.parse(`${whole}Z`) + 1000).toISOString().slice(0, 19)}Z`;
}
