# Only for a topic that needs a login: an access token of ntfy.
return {"Authorization": "Bearer put the token here"}
