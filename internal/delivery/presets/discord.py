def plain(text, length):
    # What Discord would read as Markdown is escaped; escaping doubles the length at most.
    return regex_replace(text[:length // 2], r"([\\`*_~|<>\[\]()#@:-])", r"\\\1")

colors = {"notice": 0x2B7DE9, "warning": 0xF0AB00, "alert": 0xC9190B}
event = notification.event
embed = {
    "title": notification.severity.capitalize(),
    "description": plain(notification.body, 2000),
    "color": colors.get(notification.severity, 0x2B7DE9),
}
if event is not None:
    embed["timestamp"] = event.created.isoformat()
    fields = [{"name": "Action", "value": plain(event.action, 1000), "inline": True}]
    if event.client_ip:
        fields.append({"name": "Address", "value": plain(event.client_ip, 1000), "inline": True})
    embed["fields"] = fields
return {"username": "Belfry", "embeds": [embed], "allowed_mentions": {"parse": []}}
