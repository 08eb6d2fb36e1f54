package main

import (
	"net/http"

	"belfry/internal/drf"
)

// task is one of authentik 2024.6's system tasks. There are none: Belfry's work in the background needs nobody's help.
type task struct {
	UUID, Name, UID, Description, Status string
	Started, Finished                    int64
	Expires                              *int64
	Expiring                             bool
	Messages                             []drf.LogEvent
}

// fullName is the name and what of several tasks of that name it is.
func (t *task) fullName() string {
	if t.UID == "" {
		return t.Name
	}
	return t.Name + ":" + t.UID
}

var taskStatus = &drf.Choices{Name: "SystemTaskStatusEnum", Values: []string{"unknown", "successful", "warning", "error"}}

var taskSerializer = drf.NewSerializer("SystemTask",
	drf.UUID[task, none]("uuid", func(t *task) string { return t.UUID }),
	drf.Text[task, none]("name", func(t *task) string { return t.Name }, nil),
	drf.Text[task, none]("full_name", (*task).fullName, nil),
	drf.Text[task, none]("uid", func(t *task) string { return t.UID }, nil),
	drf.Text[task, none]("description", func(t *task) string { return t.Description }, nil),
	drf.Time[task, none]("start_timestamp", func(t *task) int64 { return t.Started }, nil),
	drf.Time[task, none]("finish_timestamp", func(t *task) int64 { return t.Finished }, nil),
	drf.Float[task, none]("duration", func(t *task) float64 { return float64(t.Finished-t.Started) / float64(secondMicros) }),
	drf.Choice[task, none]("status", taskStatus, func(t *task) string { return t.Status }, nil),
	drf.NestedList[task, none]("messages", drf.LogEventSerializer, func(t *task) []drf.LogEvent { return t.Messages }),
	drf.NullTime[task, none]("expires", func(t *task) *int64 { return t.Expires }, nil),
	drf.Bool[task, none]("expiring", func(t *task) bool { return t.Expiring }, nil),
)

// taskList is what the list of tasks takes.
var taskList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "name"}, {Name: "status", Kind: drf.FilterChoice, Choices: taskStatus}, {Name: "uid"},
	},
	Search:    true,
	Orderings: []string{"uuid", "name", "uid", "description", "status", "expires", "expiring"},
	Default:   []string{"name"},
}

// listTasks answers an empty page.
func (s *server) listTasks(w http.ResponseWriter, r *http.Request) error {
	q, err := taskList.Parse(r)
	if err != nil {
		return err
	}
	if _, _, err := q.Window(0); err != nil {
		return err
	}
	return taskSerializer.WriteList(w, r, drf.PageInfo{Size: q.Size}, nil)
}

// noTask answers whatever is asked of one task: there is none.
func (s *server) noTask(http.ResponseWriter, *http.Request) error { return drf.NotFound() }
