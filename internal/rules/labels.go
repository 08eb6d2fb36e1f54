package rules

import "strings"

// actionLabels are the names of actions that do not follow from their values.
var actionLabels = map[string]string{"invitation_used": "Invite Used", "custom_": "Custom Prefix"}

// ActionLabel is the name that authentik shows for an action: login_failed is "Login Failed".
func ActionLabel(action string) string {
	if label, ok := actionLabels[action]; ok {
		return label
	}
	words := strings.Split(action, "_")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, " ")
}
