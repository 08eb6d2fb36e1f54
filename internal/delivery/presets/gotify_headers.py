# The token of an application, from "Apps".
return {"X-Gotify-Key": "put the token here"}
