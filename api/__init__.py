"""API: the HTTP process. It keeps nothing: every answer is the supervisor's.

__main__    in the foreground
app         the Flask application
bus         the process's bus client
context     what every route needs
inbox       a bounded queue of events
auth/       who may come in
events/     streams
gateway/    many nodes
http/       requests and outcomes
reference/  the description
routes/     the calls
server/     gunicorn
terminals/  WebSockets
web/        the dashboard

May import: shared.
"""
