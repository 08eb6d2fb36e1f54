# The number of the chat, or @name for a public channel.
chat = "put the chat here"

# Without parse_mode Telegram shows the text as it is.
return {
    "chat_id": chat,
    "text": f"{notification.severity.upper()}\n{notification.body}"[:4000],
    "link_preview_options": {"is_disabled": True},
    "disable_notification": notification.severity == "notice",
}
