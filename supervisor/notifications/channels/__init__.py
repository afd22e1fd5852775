"""The ways out. Each is a module with one class that fulfils `contract.Channel`; all of them run on the courier's thread.

apns          Apple
apprise       a hundred services more
background    a call on its own thread
command       a program of the configuration
contract      what a channel is
destinations  where one may go
encryption    for Web Push
http          requests to destinations
ntfy          a topic
webhook       a signed POST
webpush       a browser
"""
