// Who is signed in, and what they may see. The cookie is the browser's affair; scripts never see it.
import { get, post, remove } from "./api.js";

const path = "api/belfry/session/";

const nobody = { user: null, scopes: [], has_password: false, session: null };

// session is what the server says of the session, always the same object: user is null when nobody is signed in.
export const session = { ...nobody };

export async function load() {
  return Object.assign(session, await get(path));
}

// signIn takes { username, password } or { token }.
export async function signIn(values) {
  return Object.assign(session, await post(path, values));
}

export async function signOut() {
  await remove(path);
  forget();
}

// forget is what is left to do when the server has ended the session.
export function forget() {
  Object.assign(session, nobody);
}

// mayRead: the log, rules and what else belongs to everybody. mayWrite: change them. mayOwn: one's own password, sessions and
// tokens.
export const mayOwn = () => session.scopes.includes("admin");
export const mayWrite = () => Boolean(session.user?.is_superuser) && mayOwn();
export const mayRead = () => Boolean(session.user?.is_superuser) && (mayOwn() || session.scopes.includes("read"));
