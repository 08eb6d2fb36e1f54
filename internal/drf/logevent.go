package drf

// LogEvent is one line of a log, as tasks and tests of policies answer it. Time is UTC microseconds.
type LogEvent struct {
	Time                 int64
	Level, Logger, Event string
	Attributes           JSON
}

var logLevels = &Choices{
	Name:   "LogLevelEnum",
	Values: []string{"critical", "exception", "error", "warn", "warning", "info", "debug", "notset"},
}

// LogEventSerializer writes lines of a log.
var LogEventSerializer = NewSerializer("LogEvent",
	Time[LogEvent, struct{}]("timestamp", func(l *LogEvent) int64 { return l.Time }, nil),
	Choice[LogEvent, struct{}]("log_level", logLevels, func(l *LogEvent) string { return l.Level }, nil),
	Text[LogEvent, struct{}]("logger", func(l *LogEvent) string { return l.Logger }, nil),
	Text[LogEvent, struct{}]("event", func(l *LogEvent) string { return l.Event }, nil),
	Object[LogEvent, struct{}]("attributes", func(l *LogEvent) JSON { return l.Attributes }, nil),
)
