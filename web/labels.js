// The words for what the API names: actions, severities, models.

const actions = new Map(Object.entries({
  login: "Login", login_failed: "Failed login", logout: "Logout", user_write: "User was written to",
  user_offboarded: "User was offboarded", suspicious_request: "Suspicious request", password_set: "Password set",
  secret_view: "Secret was viewed", secret_rotate: "Secret was rotated", invitation_used: "Invitation used",
  authorize_application: "Application authorized", source_linked: "Source linked",
  impersonation_started: "Impersonation started", impersonation_ended: "Impersonation ended",
  flow_execution: "Flow execution", policy_execution: "Policy execution", policy_exception: "Policy exception",
  property_mapping_exception: "Property mapping exception", system_task_execution: "System task execution",
  system_task_exception: "System task exception", system_exception: "General system exception",
  configuration_error: "Configuration error", configuration_warning: "Configuration warning",
  model_created: "Model created", model_updated: "Model updated", model_deleted: "Model deleted",
  email_sent: "Email sent", update_available: "Update available", export_ready: "Export ready",
  review_initiated: "Review initiated", review_overdue: "Review overdue", review_attested: "Review attested",
  review_completed: "Review completed", access_request_created: "Access requested",
  access_request_approved: "Access request approved", access_request_denied: "Access request denied",
  access_request_revoked: "Access revoked", custom_: "Custom event",
}));

// actionLabel is an action in words; one of somebody's own is its name, read out.
export function actionLabel(action) {
  const name = String(action);
  return actions.get(name) ?? sentence(name.replace(/^custom_/, ""));
}

// knownActions are [value, label] of every action that has a name, by label.
export const knownActions = [...actions].sort((a, b) => a[1].localeCompare(b[1]));

// actionTone is how much an action deserves attention: "bad", "odd" or "" for everyday life.
export function actionTone(action) {
  if (/_exception$|^configuration_error$|^suspicious_request$/.test(action)) return "bad";
  if (/^login_failed$|^configuration_warning$|_deleted$|_denied$|_overdue$|^impersonation_started$|^secret_view$/.test(action)) return "odd";
  return "";
}

// severities are the severities of notifications, the gravest first, in words.
export const severities = [["alert", "Alert"], ["warning", "Warning"], ["notice", "Notice"]];
const severityWords = new Map(severities);
export const severityLabel = (severity) => severityWords.get(severity) ?? String(severity);

// sentence is a name_with_underscores as words that begin a sentence.
export function sentence(name) {
  const words = String(name).replaceAll("_", " ").trim();
  return words ? words[0].toUpperCase() + words.slice(1) : "–";
}

const number = new Intl.NumberFormat();

// count is a number with its noun: count(2, "event") is "2 events".
export const count = (n, noun, nouns = `${noun}s`) => `${number.format(n)} ${n === 1 ? noun : nouns}`;
