def run(text, **more):
    # The runs of a RichTextBlock are not read as Markdown, unlike the text of a TextBlock.
    return {"type": "RichTextBlock", "inlines": [dict(type="TextRun", text=text, **more)]}

colors = {"notice": "accent", "warning": "warning", "alert": "attention"}
event = notification.event
body = [
    run(notification.severity.capitalize(), weight="bolder", size="medium", color=colors.get(notification.severity, "default")),
    run(notification.body[:4000]),
]
if event is not None:
    address = f" from {event.client_ip}" if event.client_ip else ""
    body.append(run(f"{event.action}{address}, {event.created.strftime('%Y-%m-%d %H:%M:%S')} UTC", isSubtle=True, size="small"))
return {
    "type": "message",
    "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": body,
        },
    }],
}
