def mild(text):
    # An invisible space after @ takes the meaning of @room and of people's names away.
    return text.replace("@", "@\u200b")

def html(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")

title, body = notification.severity.capitalize(), mild(notification.body[:4000])
return {
    "text": f"{title}: {body}",
    "html": f"<strong>{title}</strong><br>{html(body)}",
    "username": "Belfry",
}
