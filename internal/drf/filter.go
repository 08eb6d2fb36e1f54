package drf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// take reads a filter into the query. It answers what is wrong, and the name under which it was given.
func (q *Query) take(f Filter, raw rawQuery) (message, name string) {
	name = f.Name
	values := f.values(raw[name])
	if later := f.values(raw[f.Alias]); f.Alias != "" && len(later) > 0 {
		name, values = f.Alias, later
	}
	if f.Required && len(values) == 0 {
		return MsgRequired, name
	}
	if len(values) > maxValues {
		return fmt.Sprintf("Ensure this filter has no more than %d values.", maxValues), name
	}
	for _, text := range values {
		if message := q.add(f, text); message != "" {
			return message, name
		}
	}
	return "", name
}

// values are the values of a parameter that count: none that is blank, and the last one only unless the filter is repeatable.
func (f Filter) values(given []string) []string {
	switch f.Kind {
	case FilterTexts, FilterUUIDs, FilterChoices:
	default:
		given = given[max(0, len(given)-1):]
	}
	var list []string
	for _, text := range given {
		if text = trim(text); text != "" {
			list = append(list, text)
		}
	}
	return unique(list)
}

// add reads one value of a filter, and answers what is wrong with it.
func (q *Query) add(f Filter, text string) string {
	if f.Kind != FilterBool && strings.Contains(text, "\x00") {
		return msgNullCharacter
	}
	switch f.Kind {
	case FilterBool:
		q.addBool(f.Name, text)
		return ""
	case FilterInt:
		return q.addInt(f.Name, text, "Enter a number.")
	case FilterCount:
		return q.addCount(f.Name, text)
	case FilterIntRef:
		return q.addInt(f.Name, text, MsgNoChoice)
	case FilterTime:
		return q.addTime(f.Name, text)
	case FilterChoice, FilterChoices:
		if !f.Choices.Has(text) {
			return fmt.Sprintf("Select a valid choice. %s is not one of the available choices.", text)
		}
	case FilterText, FilterTexts:
		if utf8.RuneCountInString(text) > maxCharacters {
			return fmt.Sprintf("Ensure this filter has no more than %d characters.", maxCharacters)
		}
	case FilterUUID, FilterUUIDs:
		id, ok := ParseUUID(text)
		if !ok {
			return msgUUID(text)
		}
		text = id
	}
	if !slices.Contains(q.texts[f.Name], text) {
		q.texts[f.Name] = append(q.texts[f.Name], text)
	}
	return ""
}

func (q *Query) addBool(name, text string) {
	switch text {
	case "true", "True", "1":
		q.bools[name] = true
	case "false", "False", "0":
		q.bools[name] = false
	}
}

func (q *Query) addInt(name, text, message string) string {
	n, ok := parseInt(dropZeroFraction(text))
	if !ok || !n.IsInt64() {
		return message
	}
	q.ints[name] = n.Int64()
	return ""
}

func (q *Query) addCount(name, text string) string {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return msgInteger
	}
	q.ints[name] = n
	return ""
}

// addTime reads a moment as Django's forms do: unlike a body's, it may be a date alone.
func (q *Query) addTime(name, text string) string {
	if datePattern.MatchString(text) {
		text += "T00:00"
	}
	micros, wrong := parseTime(text)
	if wrong != "" {
		return "Enter a valid date/time."
	}
	q.ints[name] = micros
	return ""
}
