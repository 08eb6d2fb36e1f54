// Drives one generated client through every operation that the acceptance run lists, against a new server.
//
// It is started by TestNPMClients. On its standard input stands {"package", "name", "url", "token", "operations"};
// it prints one line of JSON for every operation: whether the client has it, the calls by status, and what was wrong.
// Both clients go the same way; `later` marks where the one of 2026.8 names things otherwise or knows more.

import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';

import { Driver } from './driver.js';

const task = JSON.parse(readFileSync(0, 'utf8'));
const later = task.package === 'api-2026';
const c = new Driver(task.name, task.package, task);
const marker = 'acceptance-npm';

// resource makes an object, reads it, changes it by PUT and by PATCH, and reads it after each: what was sent comes
// back, and what was answered to a write is what is read afterwards. It returns the object as it is last.
async function resource(prefix, { id, body, key = 'pk', create, put, patch }) {
  const steps = [['create', create, body], ['update', put, body], ['partial_update', patch, `patched${body[0].toUpperCase()}${body.slice(1)}`]];
  let last;
  for (const [verb, sent, name] of steps) {
    last = await c.call(`${prefix}_${verb}`, { ...last && { [id]: last[key] }, [name]: sent });
    c.kept(last, sent);
    c.same(`after ${verb}`, await c.call(`${prefix}_retrieve`, { [id]: last[key] }), last);
  }
  return last;
}

// finds lists with each of some filters; each must find exactly one object.
async function finds(prefix, wanted, filters, key = 'pk') {
  for (const filter of filters) {
    const page = await c.call(`${prefix}_list`, { ordering: key, page: 1, pageSize: 50, ...filter });
    c.same(JSON.stringify(filter), page.results.map((found) => found[key]), [wanted]);
    c.same('count', [page.pagination.count, page.pagination.next, page.pagination.current], [1, 0, 1]);
  }
}

// gone deletes an object, which then is unknown.
async function gone(prefix, path) {
  await c.call(`${prefix}_destroy`, path);
  await c.refused(`${prefix}_retrieve`, path, 404);
}

// uses asks what uses an object, and returns the kinds and keys of its answer.
async function uses(prefix, path) {
  return (await c.call(`${prefix}_used_by_list`, path)).map((use) => `${use.modelName} ${use.pk} ${use.action}`);
}

const sum = (list, key) => list.reduce((total, member) => total + member[key], 0);
const post = (event) => c.call('events_events_create', { eventRequest: { app: marker, ...event } });
const makeUser = (username) => c.call('core_users_create', { userRequest: { username, name: username } });
const makeGroup = (name) => c.call('core_groups_create', { groupRequest: { name } });
const makeRule = (name, more) => c.call('events_rules_create', { notificationRuleRequest: { name, ...more } });
const makeMatcher = (name) => c.call('policies_event_matcher_create', { eventMatcherPolicyRequest: { name } });
const bind = (sent) => c.call('policies_bindings_create', { policyBindingRequest: { order: 0, ...sent } });

// sections are run in this order; the ones of operations that the run does not list are left out.
const sections = {
  async admin_version() {
    const version = await c.call('admin_version_retrieve');
    c.same('versionCurrent', version.versionCurrent, '2024.6.2');
  },

  async root_config() {
    const config = await c.call('root_config_retrieve');
    c.same('errorReporting', config.errorReporting.enabled, false);
    c.same('capabilities', config.capabilities, []);
  },

  async events_events() {
    const expires = new Date('2031-05-06T07:08:09.123Z');
    const model = { app: 'authentik_core', model_name: 'application', pk: '0123456789abcdef0123456789abcdef' };
    const sent = {
      action: 'authorize_application', app: marker, user: { pk: 7, username: 'npm-ada' }, expires,
      context: { message: 'Grüße \u2028 😀', list: [1.5, null, {}], model, authorized_application: { pk: 'fedcba98', name: 'wiki' } },
      clientIp: '2001:db8::1', brand: { name: 'npm brand' },
    };
    const event = await post(sent);
    c.kept(event, sent);
    c.same('created', Math.abs(event.created - Date.now()) < 60_000, true);
    await post({ action: 'login', app: `${marker}-other` });
    await finds('events_events', event.pk, [
      { search: marker, action: 'authorize' }, { search: marker, clientIp: '2001:db8::1' }, { username: 'npm-ada' },
      { brandName: 'npm brand' }, { contextAuthorizedApp: 'fedcba98' }, { contextModelPk: model.pk },
      { search: marker, contextModelApp: model.app }, { search: marker, contextModelName: model.model_name },
      ...later ? [{ search: marker, actions: ['authorize_application', 'logout'] }] : [],
    ]);
    const newest = await c.call('events_events_list', { search: marker, ordering: '-created', page: 2, pageSize: 1 });
    c.same('second page', newest.results.map(({ pk }) => pk), [event.pk]);

    const last = await resource('events_events', {
      id: 'eventUuid', body: 'eventRequest', create: sent,
      put: { action: 'logout', app: marker, context: { only: 'this' }, clientIp: null },
      patch: { user: { username: 'npm-eve' }, expires: new Date('2032-01-01T00:00:00Z') },
    });
    c.same('kept by PUT and PATCH', [last.brand, last.action, last.context], [sent.brand, 'logout', { only: 'this' }]);
    await gone('events_events', { eventUuid: last.pk });
  },

  async events_events_actions() {
    const actions = await c.call('events_events_actions_list');
    for (const name of ['login', 'model_updated', 'custom_', ...later ? ['export_ready', 'review_overdue'] : []]) {
      c.same(name, actions.some(({ component }) => component === name), true);
    }
  },

  async events_events_volume() {
    for (const app of ['one', 'one', 'two']) {
      const authorized = { authorized_application: { name: app } };
      await post({ action: 'source_linked', app: `${marker}-statistics`, user: { pk: 8 }, context: authorized });
    }
    const top = await c.call('events_events_top_per_user_list', { action: 'source_linked', topN: 5 });
    c.same('top', top, [
      { application: { name: 'one' }, countedEvents: 2, uniqueUsers: 1 },
      { application: { name: 'two' }, countedEvents: 1, uniqueUsers: 1 }]);
    const query = { action: 'source_linked', search: `${marker}-statistics` };
    if (later) {
      c.same('sum', sum(await c.call('events_events_volume_list', { ...query, historyDays: 2 }), 'count'), 3);
    } else {
      c.same('sum', sum(await c.call('events_events_volume_list', query), 'yCord'), 3);
      c.same('sum', sum(await c.call('events_events_per_month_list', { action: 'source_linked' }), 'yCord'), 3);
    }
  },

  async events_events_stats() {
    if (later) {
      await post({ action: 'email_sent', app: `${marker}-stats`, user: { pk: 9 } });
      const stats = await c.call('events_events_stats_retrieve', { countSteps: ['hours=1'], search: `${marker}-stats` });
      c.same('stats', stats, { uniqueUsers: 1, countStep: { hours1: 1 } });
    }
  },

  async events_system_tasks() {
    if (!later) {
      c.same('tasks', (await c.call('events_system_tasks_list', { pageSize: 5 })).results, []);
      const unknown = { uuid: '00000000-0000-4000-8000-000000000000' };
      await c.refused('events_system_tasks_retrieve', unknown, 404);
      await c.refused('events_system_tasks_run_create', unknown, 404);
    }
  },

  async events_notifications() {
    const event = await post({ action: 'configuration_error', context: { message: 'not configured' } });
    const path = async () => ({ uuid: (await c.call('events_notifications_list', { event: event.pk })).results[0].pk });
    const at = await path();
    await finds('events_notifications', at.uuid, [
      { body: 'not configured' }, { search: 'CONFIGURED', user: 1 }, { event: event.pk, severity: 'alert', seen: false }]);
    const first = await c.call('events_notifications_retrieve', at);
    c.same('first', [first.severity, first.body, first.seen, first.event], ['alert', 'not configured', false, event]);

    const link = later ? { hyperlink: 'https://example.com/wiki', hyperlinkLabel: 'Wiki' } : {};
    const put = await c.call('events_notifications_update', { ...at, notificationRequest: { seen: true, ...link } });
    c.same('after PUT', put, { ...first, seen: true, ...link });
    const change = { action: 'suspicious_request', app: `${marker}-changed`, user: { username: 'npm-bob' }, context: { ticket: 'T-1' } };
    const patched = await c.call('events_notifications_partial_update', { ...at, patchedNotificationRequest: { seen: false, event: change } });
    c.same('after PATCH', patched, { ...put, seen: false, event: { ...event, ...change } });
    c.same('read again', await c.call('events_notifications_retrieve', at), patched);
    c.same('the event itself', await c.call('events_events_retrieve', { eventUuid: event.pk }), patched.event);
    c.same('used by', await uses('events_notifications', at), []);

    await c.call('events_notifications_mark_all_seen_create');
    c.same('unseen', (await c.call('events_notifications_list', { user: 1, seen: false })).pagination.count, 0);
    await c.call('events_events_destroy', { eventUuid: event.pk });
    c.same('without its event', (await c.call('events_notifications_retrieve', at)).event ?? null, null);
    await gone('events_notifications', at);
  },

  async events_rules() {
    const crew = await makeGroup('npm-rule-crew');
    const transports = [(await c.call('events_transports_create', { notificationTransportRequest: { name: 'npm-rule-transport' } })).pk];
    const [group, groupObj, groupName] = later ? ['destinationGroup', 'destinationGroupObj', 'destinationGroupName'] : ['group', 'groupObj', 'groupName'];
    const last = await resource('events_rules', {
      id: 'pbmUuid', body: 'notificationRuleRequest',
      create: { name: 'npm-rule', severity: 'warning', [group]: null, transports: [] },
      put: { name: 'npm-rule-put', [group]: crew.pk },
      patch: { transports, ...later && { destinationEventUser: true } },
    });
    c.same('kept by PUT and PATCH', [last.name, last.severity, last[groupObj]], ['npm-rule-put', 'warning', crew]);
    await finds('events_rules', last.pk, [
      { name: 'npm-rule-put' }, { search: 'NPM-RULE', severity: 'warning' }, { [groupName]: 'npm-rule-crew' }]);
    const bound = await bind({ target: last.pk, group: crew.pk });
    c.same('used by', (await uses('events_rules', { pbmUuid: last.pk })).includes(`policybinding ${bound.pk} cascade`), true);
    await gone('events_rules', { pbmUuid: last.pk });
  },

  async events_transports() {
    const url = 'https://hooks.example.com/acceptance';
    const email = later ? { emailSubjectPrefix: 'npm:', emailTemplate: 'email/event_notification.html' } : {};
    const mappings = later ? { webhookMappingBody: null, webhookMappingHeaders: null } : { webhookMapping: null };
    const last = await resource('events_transports', {
      id: 'uuid', body: 'notificationTransportRequest',
      create: { name: 'npm-hook', mode: 'webhook', webhookUrl: url, sendOnce: true, ...mappings, ...email },
      put: { name: 'npm-hook-put' }, patch: { mode: 'webhook_slack', webhookUrl: `${url}/slack` },
    });
    c.same('kept by PUT and PATCH', [last.name, last.sendOnce], ['npm-hook-put', true]);
    await finds('events_transports', last.pk, [
      { name: 'npm-hook-put' }, { mode: 'webhook_slack' }, { webhookUrl: `${url}/slack` }, { sendOnce: true, search: 'NPM-HOOK' }]);
    const user = await makeRule('npm-hook-user', { transports: [last.pk] });
    c.same('used by', await uses('events_transports', { uuid: last.pk }), [`notificationrule ${user.pk} cascade_many`]);
    const inbox = await c.call('events_transports_create', { notificationTransportRequest: { name: 'npm-inbox', mode: 'local' } });
    c.same('test', (await c.call('events_transports_test_create', { uuid: inbox.pk })).messages, []);
    await gone('events_transports', { uuid: last.pk });
  },

  async policies_event_matcher() {
    const last = await resource('policies_event_matcher', {
      id: 'policyUuid', body: 'eventMatcherPolicyRequest',
      create: { name: 'npm-matcher', executionLogging: true, action: 'login', clientIp: '192.0.2.1', app: 'authentik.core', model: 'authentik_core.user' },
      put: { name: 'npm-matcher-put', clientIp: null }, patch: { executionLogging: false, clientIp: '192.0.2.7' },
    });
    c.same('kept by PUT and PATCH', [last.action, last.app, last.model], ['login', 'authentik.core', 'authentik_core.user']);
    await finds('policies_event_matcher', last.pk, [
      { name: 'npm-matcher-put' }, { action: 'login' }, { clientIp: '192.0.2.7' }, { app: 'authentik.core' },
      { model: 'authentik_core.user' }, { policyUuid: last.pk, executionLogging: false }, { search: 'NPM-MATCHER' }]);
    const target = await makeRule('npm-matcher-rule');
    const bound = await bind({ target: target.pk, policy: last.pk });
    c.same('boundTo', (await c.call('policies_event_matcher_retrieve', { policyUuid: last.pk })).boundTo, 1);
    c.same('used by', await uses('policies_event_matcher', { policyUuid: last.pk }), [`policybinding ${bound.pk} cascade`]);
    await gone('policies_event_matcher', { policyUuid: last.pk });
  },

  async policies_bindings() {
    const [target, policy] = [await makeRule('npm-binding-rule'), await makeMatcher('npm-binding-matcher')];
    const [group, user] = [await makeGroup('npm-binding-crew'), await makeUser('npm-binding-user')];
    const last = await resource('policies_bindings', {
      id: 'policyBindingUuid', body: 'policyBindingRequest',
      create: { target: target.pk, policy: policy.pk, order: 7, negate: true, enabled: false, timeout: 5, failureResult: true },
      put: { target: target.pk, policy: policy.pk, order: 8 }, patch: { policy: policy.pk, enabled: true },
    });
    c.same('kept by PUT and PATCH', [last.negate, last.timeout, last.failureResult, last.policyObj.pk], [true, 5, true, policy.pk]);
    await finds('policies_bindings', last.pk, [
      { target: target.pk }, { targetIn: [target.pk] }, { policy: policy.pk }, { target: target.pk, policyIsnull: false },
      { target: target.pk, enabled: true }, { order: 8 }, { timeout: 5 }, { search: 'npm-binding-matcher' }]);
    c.same('group', (await bind({ target: target.pk, group: group.pk })).groupObj.name, 'npm-binding-crew');
    c.same('user', (await bind({ target: target.pk, user: user.pk })).userObj.username, 'npm-binding-user');
    c.same('used by', await uses('policies_bindings', { policyBindingUuid: last.pk }), []);
    await gone('policies_bindings', { policyBindingUuid: last.pk });
  },

  async policies_expression() {
    const last = await resource('policies_expression', {
      id: 'policyUuid', body: 'expressionPolicyRequest', create: { name: 'npm-expression', executionLogging: true, expression: 'return True' },
      put: { name: 'npm-expression-put', expression: 'return False' }, patch: { executionLogging: false },
    });
    await finds('policies_expression', last.pk, [{ name: 'npm-expression-put' }, { expression: 'return False' }, { policyUuid: last.pk }]);
    c.same('used by', await uses('policies_expression', { policyUuid: last.pk }), []);
    await gone('policies_expression', { policyUuid: last.pk });
  },

  async policies_all() {
    const at = { policyUuid: (await makeMatcher('npm-all')).pk };
    await finds('policies_all', at.policyUuid, [{ search: 'npm-all' }, { search: 'npm-all', bindingsIsnull: true }]);
    c.same('name', (await c.call('policies_all_retrieve', at)).name, 'npm-all');
    c.same('types', (await c.call('policies_all_types_list')).length > 0, true);
    await c.call('policies_all_cache_info_retrieve');
    await c.call('policies_all_cache_clear_create');
    const user = (await makeUser('npm-all-user')).pk;
    c.same('passing', typeof (await c.call('policies_all_test_create', { ...at, policyTestRequest: { user } })).passing, 'boolean');
    c.same('used by', await uses('policies_all', at), []);
    await gone('policies_all', at);
  },

  async propertymappings_notification() {
    const last = await resource('propertymappings_notification', {
      id: 'pmUuid', body: 'notificationWebhookMappingRequest', create: { name: 'npm-mapping', expression: 'return {}' },
      put: { name: 'npm-mapping-put', expression: 'return {"a": 1}' }, patch: { expression: 'return None' },
    });
    await finds('propertymappings_notification', last.pk, [{ name: 'npm-mapping-put' }, { search: 'NPM-MAPPING' }]);
    const fields = later ? { webhookMappingBody: last.pk, webhookMappingHeaders: last.pk } : { webhookMapping: last.pk };
    const hook = await c.call('events_transports_create', { notificationTransportRequest: { name: 'npm-mapped', ...fields } });
    c.kept(hook, fields);
    c.same('used by', (await uses('propertymappings_notification', { pmUuid: last.pk })).every((use) => use.includes(hook.pk)), true);
    await gone('propertymappings_notification', { pmUuid: last.pk });
  },

  async core_users() {
    const me = await c.call('core_users_me_retrieve');
    c.same('me', [me.user.pk, me.user.username, me.user.isSuperuser, me.original ?? null], [1, 'akadmin', true, null]);
    c.same('signed in', (me.users ?? [me.user]).map(({ username }) => username), ['akadmin']);
    const crew = await makeGroup('npm-user-crew');
    const last = await resource('core_users', {
      id: 'id', body: 'userRequest',
      create: { username: 'npm-user', name: 'Npm User', email: 'npm@example.com', groups: [crew.pk], path: 'npm/one', type: 'external', isActive: true, attributes: { desk: 4 } },
      put: { username: 'npm-user', name: '' }, patch: { isActive: false, attributes: {} },
    });
    c.same('groups', last.groupsObj.map(({ name }) => name), ['npm-user-crew']);
    await finds('core_users', last.pk, [
      { username: 'npm-user' }, { email: 'npm@example.com' }, { isActive: false }, { groupsByName: ['npm-user-crew'] },
      { groupsByPk: [crew.pk] }, { path: 'npm/one' }, { pathStartswith: 'npm' }, { type: ['external'] }, { uuid: last.uuid },
      { search: 'NPM@EXAMPLE', isSuperuser: false }]);
    c.same('without groups', (await c.call('core_users_list', { username: 'npm-user', includeGroups: false })).results[0].groupsObj, null);
    await c.call('core_users_set_password_create', { id: last.pk, userPasswordSetRequest: { password: 'correct horse battery' } });
    await c.call('core_tokens_create', { tokenRequest: { identifier: 'npm-used', user: last.pk } });
    c.same('used by', (await uses('core_users', { id: last.pk })).some((use) => use.startsWith('token ')), true);
    await gone('core_users', { id: last.pk });
  },

  async core_groups() {
    const [top, member] = [await makeGroup('npm-top'), await makeUser('npm-member')];
    const under = later ? { parents: [top.pk] } : { parent: top.pk };
    const last = await resource('core_groups', {
      id: 'groupUuid', body: 'groupRequest', create: { name: 'npm-group', isSuperuser: true, users: [member.pk], attributes: { floor: '3' }, ...under },
      put: { name: 'npm-group-put' }, patch: { isSuperuser: false, attributes: {} },
    });
    const at = { groupUuid: last.pk };
    c.kept(last, under);
    c.same('members', last.usersObj.map(({ username }) => username), ['npm-member']);
    await finds('core_groups', last.pk, [
      { name: 'npm-group-put' }, { membersByPk: [member.pk] }, { membersByUsername: ['npm-member'] }, { search: 'NPM-GROUP', isSuperuser: false }]);
    const lean = await c.call('core_groups_retrieve', { ...at, includeUsers: false });
    c.same('without members', [lean.usersObj, lean.users], [null, [member.pk]]);
    const members = async () => (await c.call('core_groups_retrieve', at)).users;
    await c.call('core_groups_remove_user_create', { ...at, userAccountRequest: { pk: member.pk } });
    c.same('removed', await members(), []);
    await c.call('core_groups_add_user_create', { ...at, userAccountRequest: { pk: member.pk } });
    c.same('added', await members(), [member.pk]);
    const user = await makeRule('npm-group-rule', { [later ? 'destinationGroup' : 'group']: last.pk });
    c.same('used by', (await uses('core_groups', at)).includes(`notificationrule ${user.pk} set_null`), true);
    if (later) {
      const above = await c.call('core_groups_retrieve', { groupUuid: top.pk, includeChildren: true });
      c.same('children', [above.children, above.childrenObj.map(({ name }) => name)], [[last.pk], ['npm-group-put']]);
    }
    await gone('core_groups', at);
  },

  async core_tokens() {
    const user = await makeUser('npm-holder');
    const expires = new Date(Math.ceil(Date.now() / 1000) * 1000 + 86_400_000);
    const last = await resource('core_tokens', {
      id: 'identifier', key: 'identifier', body: 'tokenRequest',
      create: { identifier: 'npm-token', intent: 'api', user: user.pk, description: 'first', expires, expiring: true },
      put: { identifier: 'npm-token', description: 'second' }, patch: { description: 'third' },
    });
    const at = { identifier: 'npm-token' };
    c.same('holder', [last.userObj.username, last.expires], ['npm-holder', expires]);
    await finds('core_tokens', 'npm-token', [
      at, { description: 'third' }, { expires }, { userUsername: 'npm-holder', intent: 'api', expiring: true }, { search: 'NPM-TOKEN' }], 'identifier');
    const key = randomBytes(20).toString('hex');
    await c.call('core_tokens_set_key_create', { ...at, tokenSetKeyRequest: { key } });
    c.same('signed in with it', (await c.call('core_users_me_retrieve', undefined, key)).user.username, 'npm-holder');
    await c.refused('core_tokens_view_key_retrieve', at, 403);
    c.same('used by', await uses('core_tokens', at), []);
    await gone('core_tokens', at);
    await c.refused('core_users_me_retrieve', undefined, 403, key);
  },
};

// asked says whether the run lists an operation of a section.
const asked = (section) => task.operations.some((operation) => operation.startsWith(section));

for (const [name, section] of Object.entries(sections)) {
  if (asked(name)) {
    try {
      await section();
    } catch (error) { // what cannot go on ends its section only
      c.wrong(`the section ${name} ended: ${error.stack}`);
    }
  }
}
for (const line of c.report(task.operations)) {
  console.log(JSON.stringify(line));
}
