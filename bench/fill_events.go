package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/google/uuid"

	"belfry/internal/drf"
)

// fillSeed makes every run invent the same events.
const fillSeed = 1791

// Of how many things the events of a filled database are about. All but the actions are invented.
const (
	fillUsers     = 500
	fillAddresses = 5000
	fillModels    = 3000
	fillWords     = 4000
)

// Words to search for. No event holds zzyzx.
const (
	commonWord = "gateway"
	rareWord   = "quokka"
	rarestWord = "axolotl"
)

// specialWords are in one of so many events.
var specialWords = []struct {
	word string
	of   uint64
}{{commonWord, 3}, {rareWord, 1000}, {rarestWord, 100_000}}

// fillActions are the actions, the most frequent first.
var fillActions = []string{
	"login", "authorize_application", "logout", "model_updated", "login_failed", "policy_execution", "flow_execution", "user_write",
	"model_created", "custom_backup", "email_sent", "secret_view", "system_task_execution", "password_set", "model_deleted",
	"source_linked", "custom_door", "suspicious_request", "invitation_used", "configuration_error", "custom_sensor", "policy_exception",
	"property_mapping_exception", "system_task_exception", "system_exception", "secret_rotate", "impersonation_started",
	"impersonation_ended", "update_available", "user_offboarded",
}

var (
	fillApps = []string{
		"authentik.core", "authentik.stages.password", "authentik.providers.oauth2", "authentik.events", "authentik.stages.user_login",
		"authentik.sources.ldap", "backup", "portal", "authentik.stages.identification", "doors", "authentik.policies", "sensors",
	}
	fillApplications = []string{"Grafana", "Gitea", "Nextcloud", "Wiki", "Paperless", "Büro-Kalender", "Home Assistant", "Miniflux", "Vaultwarden", "Jellyfin"}
	fillModelNames   = []string{"user", "application", "token", "group", "flow", "outpost", "certificatekeypair", "rule"}
	fillNames        = []string{"amber", "bruno", "çelik", "dora", "edith", "farid", "greta", "hanno", "ida", "joris", "łukasz", "mina", "noor", "otis", "zoë"}
	fillSyllables    = []string{"ba", "co", "du", "fe", "gi", "ho", "ju", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wa", "xe", "yi", "zu"}
)

// filled is a row of event, and of notification where there is one, as the server writes them.
type filled struct {
	pk, action, app, user, context, brand, folded string
	created                                       int64
	clientIP, username, contextUsername           *string
	modelApp, modelName, modelPK                  *string
	applicationPK, application, brandName         *string
	userPK                                        *int64
	notification, severity, body, foldedBody      string // the first is "" where there is none
}

// inventor makes up one event.
type inventor struct {
	*rand.Rand
	filled
	more []string // members of the context, as JSON
}

// invent makes up the event of a number, which is made at created or within step microseconds after it. The same number
// gives the same event.
func invent(number int, created, step int64) *filled {
	v := &inventor{Rand: rand.New(rand.NewPCG(fillSeed, uint64(number)))}
	v.created = created + int64(v.Uint64()%uint64(step))
	v.pk = v.id(v.created)
	v.action, v.app = fillActions[v.skewed(len(fillActions))], fillApps[v.skewed(len(fillApps))]
	if v.IntN(50) > 0 {
		v.clientIP = new(fillAddress(v.skewed(fillAddresses)))
	}
	v.inventUser()
	v.inventBrand()
	v.inventContext()
	v.context = "{" + strings.Join(v.more, ",") + "}"
	ip := ""
	if v.clientIP != nil {
		ip = *v.clientIP
	}
	v.folded = drf.Fold(strings.Join([]string{v.pk, v.user, v.action, v.app, v.context, ip}, "\n"))
	if number%50 == 0 {
		v.notify()
	}
	return &v.filled
}

// skewed is a number below n, the lower ones much more often.
func (v *inventor) skewed(n int) int {
	f := v.Float64()
	return int(float64(n) * f * f * f)
}

// id is a UUIDv7 of a time.
func (v *inventor) id(micros int64) string {
	var id uuid.UUID
	for i := range 6 {
		id[i] = byte(micros / 1000 >> (40 - 8*i))
	}
	for i := 6; i < len(id); i++ {
		id[i] = byte(v.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id.String()
}

// hex is a random key without dashes.
func (v *inventor) hex() string { return fmt.Sprintf("%016x%016x", v.Uint64(), v.Uint64()) }

// fillAddress is one of the addresses; each tenth is of IPv6.
func fillAddress(n int) string {
	if n%10 == 9 {
		return fmt.Sprintf("2001:db8::%x:%x", n/256+1, n%256+1)
	}
	return fmt.Sprintf("10.%d.%d.%d", n/2500, n/250%10, n%250+1)
}

// fillUser is the name of one of the users.
func fillUser(n int) string { return fmt.Sprintf("%s.%d", fillNames[n%len(fillNames)], n) }

func (v *inventor) inventUser() {
	if v.IntN(40) == 0 {
		v.user = "{}"
		return
	}
	n := v.skewed(fillUsers)
	v.userPK, v.username = new(int64(n+10)), new(fillUser(n))
	v.user = fmt.Sprintf(`{"pk":%d,"email":"%s@rowan.example","username":"%s"}`, *v.userPK, *v.username, *v.username)
}

func (v *inventor) inventBrand() {
	v.brand = `{"pk":"00000000000000000000000000000000","app":"authentik_brands","name":"Brand fallback","model_name":"brand"}`
	v.brandName = new("Brand fallback")
	if v.IntN(10) == 0 {
		v.brand = `{"pk":"6f1b6a3c5d4e4f808182838485868788","app":"authentik_brands","name":"Rowan intranet","model_name":"brand"}`
		v.brandName = new("Rowan intranet")
	}
}

// add adds a member to the context; its value is JSON.
func (v *inventor) add(name, value string) { v.more = append(v.more, `"`+name+`":`+value) }

// inventContext says what happened, in the forms that authentik has for it.
func (v *inventor) inventContext() {
	switch v.action {
	case "login":
		v.add("auth_method", `"password"`)
		v.add("auth_method_args", `{"known_device":true}`)
	case "login_failed":
		v.contextUsername = new(fillUser(v.skewed(fillUsers)))
		v.add("username", `"`+*v.contextUsername+`"`)
		v.add("stage", `{"app":"authentik_stages_password","name":"default-authentication-password"}`)
	case "authorize_application":
		v.inventApplication()
	case "model_updated", "model_created", "model_deleted", "user_write", "secret_view":
		v.inventModel()
	}
	v.add("http_request", fmt.Sprintf(`{"args":{},"path":"/if/flow/%s/","method":"GET","request_id":"%s","user_agent":"Mozilla/5.0 (X11; Linux) Firefox/%d.0"}`,
		v.word(), v.hex(), 100+v.IntN(40)))
	v.add("message", v.sentence(120+v.IntN(130)))
}

func (v *inventor) inventApplication() {
	n := v.skewed(len(fillApplications))
	pk, name := fmt.Sprintf("5e0c0f1e2d3c4b5a69788796a5b4c3%02x", n), fillApplications[n]
	v.applicationPK = &pk
	v.application = new(fmt.Sprintf(`{"app":"authentik_core","model_name":"application","name":"%s","pk":"%s"}`, name, pk))
	v.add("authorized_application", fmt.Sprintf(`{"pk":"%s","app":"authentik_core","name":"%s","model_name":"application"}`, pk, name))
	v.add("scopes", `"openid email profile"`)
}

func (v *inventor) inventModel() {
	n := v.skewed(fillModels)
	v.modelApp, v.modelName = new("authentik_core"), &fillModelNames[n%len(fillModelNames)]
	if *v.modelName == "user" {
		v.modelPK = new(fmt.Sprint(n))
		v.add("model", fmt.Sprintf(`{"pk":%d,"app":"authentik_core","name":"%s","model_name":"user"}`, n, fillUser(n)))
		return
	}
	v.modelPK = new(fmt.Sprintf("7a1d0c2b3e4f50617283%012x", n))
	v.add("model", fmt.Sprintf(`{"pk":"%s","app":"authentik_core","name":"%s %d","model_name":"%s"}`, *v.modelPK, *v.modelName, n, *v.modelName))
}

// word is an invented word, some much more often than others.
func (v *inventor) word() string {
	n := v.skewed(fillWords)
	k := len(fillSyllables)
	return fillSyllables[n%k] + fillSyllables[n/k%k] + fillSyllables[n/k/k%k] + fillSyllables[(n+n/k)%k]
}

// sentence is words of about so many bytes in all, as JSON.
func (v *inventor) sentence(length int) string {
	var words []string
	for n := 0; n < length; n += len(words[len(words)-1]) + 1 {
		words = append(words, v.word())
	}
	for i, special := range specialWords {
		if v.Uint64()%special.of == 0 {
			words[i] = special.word
		}
	}
	text, err := json.Marshal(strings.Join(words, " "))
	if err != nil {
		panic(err) // it is text
	}
	return string(text)
}

func (v *inventor) notify() {
	v.notification = v.id(v.created)
	v.severity = []string{"notice", "warning", "alert"}[v.skewed(3)]
	v.body = "Noticed in " + v.app + ": " + v.word() + " " + v.word()
	v.foldedBody = drf.Fold(v.body)
}
