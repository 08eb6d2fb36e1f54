package main

import (
	"strings"
	"testing"
)

func TestBrowserPageLooksAfterUsersAndGroups(t *testing.T) {
	b := browse(t)
	b.signIn(adminKey)
	b.show("#/users")
	b.click("New user")
	b.fill("User name", "mira")
	b.fill("E-mail", "not an address")
	b.click("Make user")
	b.shows("Enter a valid email address.")
	b.fill("E-mail", "mira@rowan.example")
	b.click("Make user")
	b.until(`document.querySelector("main h1")?.textContent === "mira" && location.hash.startsWith("#/users/")`)
	user := b.ask(`location.hash`).(string)
	b.fill("New password", "correct horse battery")
	b.click("Set password")
	b.shows("The password was set.")
	b.f.must(201, "POST", "/api/belfry/session/", `{"username":"mira","password":"correct horse battery"}`)
	b.click("Deactivate")
	b.shows("The user is deactivated.", "Activate")
	b.click("Undo")
	b.shows("The user is active again.")

	b.show("#/groups")
	b.click("New group")
	b.fill("Name", "Night watch")
	b.click("Make group")
	b.shows("Nobody is in this group.")
	b.fill("Add a member", "nobody")
	b.click("Add")
	b.shows("There is no user of this name.")
	b.fill("Add a member", "mira")
	b.click("Add")
	b.until(`document.querySelector("main table a")?.textContent === "mira"`)
	b.click("Remove")
	b.shows("mira is a member no more.", "Nobody is in this group.")
	b.ask(`document.querySelector("#toasts .toast:last-child .link").click()`) // that of the user may still be shown
	b.until(`document.querySelector("main table a")?.textContent === "mira"`)
	b.show("#/users?search=mir&superuser=false")
	b.until(`document.querySelectorAll("main tbody tr").length === 1`)

	b.show(user)
	b.shows("Night watch")
	b.click("Delete")
	b.shows("Delete mira?")
	b.ask(`document.querySelector("dialog .danger").click()`)
	b.shows("The user was deleted.")
	b.until(`location.hash === "#/users" && !document.querySelector("main").innerText.includes("mira")`)
	b.quiet("status of 400", "status of 404")
}

// TestBrowserPageOfADeletedGroupComplainsOfNothing lets the hint of a deletion come before its answer, and then from
// somebody else.
func TestBrowserPageOfADeletedGroupComplainsOfNothing(t *testing.T) {
	b := browse(t)
	group := func(name string) string {
		return b.f.must(201, "POST", "/api/v3/core/groups/", `{"name":"`+name+`"}`).str("pk")
	}
	own, other := group("Own"), group("Other")
	b.signIn(adminKey)
	b.show("#/groups/" + own)
	b.shows("Nobody is in this group.", "Live")
	b.ask(`{
		const real = fetch;
		window.fetch = async (path, options) => {
			const answer = await real(path, options);
			if (options.method === "DELETE") await new Promise((done) => setTimeout(done, 1000));
			return answer;
		};
	}`)
	b.click("Delete the group")
	b.click("Delete")
	b.shows("The group was deleted.")
	b.until(`location.hash === "#/groups"`)
	b.quiet()

	b.show("#/groups/" + other)
	b.shows("Nobody is in this group.")
	b.f.must(204, "DELETE", "/api/v3/core/groups/"+other+"/", "")
	b.shows("There is no such group.")
	if b.ask(`document.querySelectorAll(".toast.bad").length`) != 0.0 {
		t.Error("the page complains")
	}
	b.quiet("status of 400")
}

func TestBrowserPageMakesATokenAndShowsItOnce(t *testing.T) {
	b := browse(t)
	b.f.user("mira")
	b.signIn(adminKey)
	b.show("#/tokens")
	b.click("New token")
	b.fill("Name", "of-mira")
	b.fill("User name", "mira")
	b.ask(`Object.defineProperty(navigator, "clipboard", { value: undefined })`) // as without a secure context
	b.click("Make token")
	b.until(`document.querySelector("input.key")?.value.startsWith("blf_")`)
	key := b.ask(`document.querySelector("input.key").value`).(string)
	b.click("Copy")
	b.shows("Selected. Press Ctrl+C")
	if b.ask(`getSelection().toString()`) != key {
		t.Error("the token is not selected")
	}
	b.ask(`document.querySelector("dialog").close()`)
	b.until(`!document.querySelector("dialog") && [...document.querySelectorAll("main tbody tr")].some((row) => row.innerText.includes("of-mira") && row.innerText.includes("inbox") && !row.innerText.includes("never"))`)
	if me := b.f.call(key, "GET", "/api/v3/core/users/me/", ""); me.str("user", "username") != "mira" {
		t.Errorf("the token: %d %s", me.status, me.text)
	}
	if strings.Contains(b.ask(`document.body.innerText`).(string), key) {
		t.Error("the token is still shown")
	}
	b.ask(`document.querySelector("[aria-label='Revoke the token of-mira']").click()`)
	b.shows("Revoke the token “of-mira”?")
	b.click("Revoke")
	b.shows("The token was revoked.")
	if me := b.f.call(key, "GET", "/api/v3/core/users/me/", ""); me.status != 403 {
		t.Errorf("a revoked token: %d", me.status)
	}
	b.quiet()
}

func TestBrowserPageEndsSessionsAndSaysHowTheServerIs(t *testing.T) {
	b := browse(t)
	_, key := b.f.user("mira")
	b.f.must(201, "POST", "/api/belfry/session/", `{"token":"`+key+`"}`)
	b.signIn(adminKey)
	b.show("#/sessions")
	b.shows("akadmin", "mira", "this one")
	b.ask(`document.querySelector("[aria-label='End the session of mira']").click()`)
	b.shows("The session has ended.")
	b.until(`document.querySelectorAll("main tbody tr").length === 1`)
	b.show("#/system")
	b.shows("SQLite", "none waiting", "Oldest event", buildVersion())
	b.quiet()
}

func TestBrowserPageExplainsAnEventAndBeginsARuleOfIt(t *testing.T) {
	b := browse(t)
	_, event := b.f.notified("The disk is full")
	b.signIn(adminKey)
	b.show("#/events/" + event)
	b.click("Explain")
	b.shows("default-notify-configuration-error", "This decided.", "notifies akadmin.", "akadmin (not seen)")
	b.click("Make a rule of this")
	b.shows("The rule matches events with the same")
	b.ask(`for (const one of document.querySelectorAll("dialog input")) one.checked = true`)
	b.click("Go on")
	b.until(`location.hash.startsWith("#/rules/new?") && new URLSearchParams(location.hash.split("?")[1]).get("action") === "configuration_error"`)
	b.quiet()
}
