def plain(text):
    # A backslash takes the meaning of Markdown away, and an invisible space after @ that of a mention.
    return regex_replace(text, r"([\\`*_~|<>\[\]()#!:-])", r"\\\1").replace("@", "@\u200b")

colors = {"notice": "#2b7de9", "warning": "#f0ab00", "alert": "#c9190b"}
event = notification.event
text = plain(notification.body[:4000])
attachment = {
    "fallback": text,
    "color": colors.get(notification.severity, "#2b7de9"),
    "title": notification.severity.capitalize(),
    "text": text,
}
if event is not None:
    attachment["fields"] = [{"title": "Action", "value": plain(event.action[:200]), "short": True}]
return {"username": "Belfry", "attachments": [attachment]}
