priorities = {"notice": 2, "warning": 5, "alert": 8}
event = notification.event
return {
    "title": f"{notification.severity.capitalize()}: {event.action}" if event else notification.severity.capitalize(),
    "message": notification.body[:4000],
    "priority": priorities.get(notification.severity, 5),
    # Shown as it is, so that text of an event cannot become a link or a picture.
    "extras": {"client::display": {"contentType": "text/plain"}},
}
