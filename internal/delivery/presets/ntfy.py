# The name of the topic is its password on a public server: take one that nobody guesses.
topic = "belfry"

priorities = {"notice": 3, "warning": 4, "alert": 5}
event = notification.event
# ntfy turns what is longer than 4,096 bytes into a file.
return {
    "topic": topic,
    "title": f"{notification.severity.capitalize()}: {event.action}"[:200] if event else notification.severity.capitalize(),
    "message": notification.body[:1000],
    "priority": priorities.get(notification.severity, 3),
    "tags": ["rotating_light"] if notification.severity == "alert" else [notification.severity],
}
