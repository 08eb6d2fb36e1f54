package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"belfry/internal/sqldb"
)

// choose chooses an option of the select field with the label.
func (b *tab) choose(label, option string) {
	b.t.Helper()
	found := `[...document.querySelectorAll("select")].find((one) => one.checkVisibility() && (one.labels?.[0]?.textContent.startsWith(` + quoted(label) + `) || one.ariaLabel === ` + quoted(label) + `))`
	b.until(found)
	done := b.ask(`((field) => {
		const option = [...field.options].find((one) => one.textContent.includes(` + quoted(option) + `));
		if (!option) return false;
		field.value = option.value;
		for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
		return true;
	})(` + found + `)`)
	if done != true {
		b.t.Fatalf("%s has no option %s", label, option)
	}
}

func TestBrowserPageMakesARuleThatFires(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.visit("#/rules")
	b.click("New rule")
	b.fill("Name", "Doors")
	b.choose("Severity", "Alert")
	b.choose("Group", "authentik Admins")
	b.click("Make the rule")
	b.shows("nothing is bound to it", "What has to be so") // the editor of the first condition is open
	b.fill("Action", "nonsense")
	b.click("Add the condition")
	b.shows("is not a valid choice")
	b.until(`document.activeElement.value === "nonsense"`)
	b.fill("Action", "custom_door")
	b.click("Add the condition")
	b.shows("Action is Door", "It has not matched yet")
	b.hides("nothing is bound to it")
	b.f.must(201, "POST", eventsPath, `{"action":"custom_door","app":"house","context":{"message":"The front door is open"}}`)
	b.click("Try it")
	b.shows("1 event of", "would match", "The front door is open", "akadmin by the inbox")
	b.visit("#/rules")
	b.shows("Doors", "just now")
	b.visit("#/inbox")
	b.shows("The front door is open")
	b.quiet("400")
}

func TestBrowserPageBeginsARuleWithWhatAnEventHas(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.visit("#/rules/new?action=custom_door&app=authentik.core&name=Doors")
	b.click("Make the rule")
	b.shows("What has to be so")
	b.click("Add the condition")
	b.shows("Action is Door and App is authentik.core")
	b.quiet()
}

func TestBrowserPageEditsConditionsWhereTheyStand(t *testing.T) {
	b := browse(t)
	rule := b.f.rule("Doors", b.f.admins(), `"user":1`)
	b.signIn(adminKey)
	b.visit("#/rules/" + rule)
	b.shows("The event’s user is akadmin")
	b.click("Add a condition")
	b.choose("What has to be so", "An expression")
	b.ask(`(() => { const area = document.querySelector(".lines textarea"); area.value = "x = 1\nreturn nothing"; area.dispatchEvent(new Event("input")); })()`)
	b.click("Add the condition")
	b.shows("line 2, column 8")
	b.until(`document.querySelector(".numbers .wrong")?.textContent === "2" && document.activeElement.selectionStart === 13`)
	b.ask(`(() => { const area = document.querySelector(".lines textarea"); area.value = "return False"; area.dispatchEvent(new Event("input")); })()`)
	b.click("Add the condition") // the policy of the first try was not made
	b.shows("return False")
	b.ask(`document.querySelector('[aria-label="Edit Doors"]').click()`)
	b.until(`document.querySelector(".inline")`)
	b.ask(`document.querySelector(".lines textarea").value = "return True"`)
	b.ask(`[...document.querySelectorAll(".inline .check")].find((one) => one.textContent.startsWith("Turn it round")).querySelector("input").click()`)
	b.click("Save the condition")
	b.shows("return True", "turned round")
	b.ask(`document.querySelector('[aria-label="Delete The event’s user is akadmin"]').click()`)
	b.hides("The event’s user is akadmin")
	b.click("Undo")
	b.shows("The event’s user is akadmin")
	b.click("Delete the rule")
	b.click("Delete")
	b.shows("The rule was deleted")
	b.f.must(404, "GET", "/api/v3/events/rules/"+rule+"/", "")
	b.quiet("400")
}

func TestBrowserPageRuleEditorIsUsableByKeyboardAlone(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.press("g", "r")
	b.shows("New rule")
	focus := func(what string) {
		t.Helper()
		for range 60 {
			if b.ask("(document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent) === "+quoted(what)) == true {
				return
			}
			b.press("\t")
		}
		t.Fatalf("the key Tab does not lead to %q", what)
	}
	typed := func(text string) { b.do(chromedp.KeyEvent(text)) }
	focus("New rule")
	b.press("\r")
	b.until(`location.hash === "#/rules/new"`)
	b.shows("Make the rule")
	focus("Name")
	typed("By keys")
	focus("Group")
	typed("authentik A")
	b.until(`document.activeElement.selectedOptions?.[0]?.textContent === "authentik Admins"`)
	focus("Make the rule")
	b.press("\r")
	b.shows("What has to be so")
	b.until(`document.activeElement.labels?.[0]?.textContent === "What has to be so"`)
	focus("Action")
	typed("custom_keys")
	b.press("\r")
	b.shows("Action is Keys")
	b.until(`document.activeElement.textContent === "Add a condition"`)
	b.ask(`document.activeElement.blur()`)
	focus("Edit")
	b.press("\r")
	b.until(`document.activeElement.labels?.[0]?.textContent === "Name of the policy"`)
	focus("Enabled")
	typed(" ")
	focus("Save the condition")
	b.press("\r")
	b.shows("none of its bindings is enabled")
	b.until(`document.activeElement.textContent === "Add a condition"`)
	focus("Try it")
	b.press("\r")
	b.shows("0 events of")
	focus("Delete the rule")
	b.press("\r")
	focus("Delete")
	b.press("\r")
	b.shows("The rule was deleted")
	b.until(`location.hash === "#/rules"`)
	b.quiet()
}

func TestBrowserPageSendsAFailedDeliveryAgain(t *testing.T) {
	b := browse(t)
	var status atomic.Int64
	status.Store(http.StatusBadRequest)
	_, _, got := b.f.receiving(func() int { return int(status.Load()) })
	event := b.f.post("The cellar is wet")
	b.f.arrival(got)
	second := b.f.post("The roof leaks")
	b.f.arrival(got)
	dead := func(event string) {
		b.f.states(event, "sending") // until the attempt is written
		err := b.f.db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("UPDATE delivery SET state = 'dead', due = NULL, settled = created WHERE event_pk = $1 AND state = 'pending'", event)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	dead(event)
	dead(second)
	b.signIn(adminKey)
	b.visit("#/deliveries?state=dead")
	b.shows("The cellar is wet", "The roof leaks", "400")
	status.Store(http.StatusOK)
	b.click("The cellar is wet")
	b.shows("Attempt 1", "Answer 400.", "Webhook-Id")
	b.click("Send again")
	b.f.arrival(got)
	b.shows("Delivered", "Attempt 2", "Answer 200.") // by itself, once the attempt is written
	b.ask("history.back()")
	b.shows("The roof leaks")
	b.hides("The cellar is wet")
	b.click("Send all failed again")
	b.shows("1 delivery matches")
	b.click("Send again")
	b.f.arrival(got)
	b.shows("No delivery matches")
	b.choose("State", "Delivered")
	b.shows("The roof leaks", "The cellar is wet")
	b.until(`location.hash.includes("state=delivered")`)
	b.quiet()
}

func TestBrowserPageMappingShowsWhatIsWrongAtItsLine(t *testing.T) {
	b := browse(t)
	b.f.notified("The disk is full")
	b.signIn(adminKey)
	b.visit("#/mappings")
	b.click("New mapping")
	write := func(source string) {
		b.until(`document.querySelector(".lines textarea")`)
		b.ask(`(() => { const area = document.querySelector(".lines textarea"); area.value = ` + quoted(source) + `; area.dispatchEvent(new Event("input")); })()`)
	}
	b.fill("Name", "Mine")
	write("\n\nx = 1\nreturn {\n    'a': 1 +,\n}")
	b.click("Make the mapping")
	b.until(`document.querySelector(".numbers .wrong")?.textContent === "5"`)
	b.until(`document.querySelector("form input").value === "Mine"`)
	write("return {'text': notification.body, 'x': 1 / 0}")
	b.choose("Event", "Configuration error")
	b.click("Preview")
	b.until(`document.querySelector(".numbers .wrong")?.textContent === "1"`)
	write("return {'shout': notification.body.upper()}")
	b.click("Preview")
	b.shows("THE DISK IS FULL")
	b.until(`!document.querySelector(".numbers .wrong")`)
	b.click("Make the mapping")
	b.shows("The mapping was made", "Delete the mapping")
	b.quiet("400")
}

func TestBrowserPageMakesATransportFromAPresetAndTestsIt(t *testing.T) {
	b := browse(t)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"said":"thanks"}`)) // a test that nobody waits for any more
	}))
	t.Cleanup(web.Close)
	b.signIn(adminKey)
	b.visit("#/transports")
	b.click("New transport")
	b.choose("Begin with", "Gotify")
	b.shows("Put the token of an application")
	b.fill("Name", "Phone")
	b.fill("Address", web.URL+"/message")
	b.click("Make a secret")
	b.click("Make the transport")
	b.shows("The transport was made", "Send a test")
	made := b.f.must(200, "GET", transportsPath+"?name=Phone", "")
	if made.get("results", 0, "has_secret") != true || made.str("results", 0, "webhook_mapping") == "" || made.str("results", 0, "webhook_mapping_headers") == "" {
		t.Errorf("the transport: %s", made.text)
	}
	b.click("Send a test")
	b.shows("The test worked", "Attempt 1", "thanks", "Webhook-Signature")
	b.click("Disable")
	b.shows("Disabled over the API")
	b.click("Enable")
	b.shows("What waited is sent now")
	var secret struct {
		Fields []string
	}
	text, err := json.Marshal(b.ask(`({ Fields: [...document.querySelectorAll("input")].map((one) => one.value) })`))
	if err != nil || json.Unmarshal(text, &secret) != nil {
		t.Fatal(err)
	}
	for _, value := range secret.Fields {
		if len(value) > 6 && value[:6] == "whsec_" {
			t.Error("the secret is shown after it was saved")
		}
	}
	b.quiet()
}
