"""Gateway: one front door for many nodes, which keeps a cache and no truth.

    nodes       who is where, and since when not        upstream    requests to nodes, and what became of them
    ids         `<node>~<id>`, outwards and inwards     here        one request, to one node, in a person's name
    scatter     one question to all, put together       placement   where a new session goes, and why
    cursor      a place in many journals                events      many journals as one stream
    terminals   two connections, joined                 routes      each call and its way
    health      is it well, and who is there
    app         what a gateway's application is made of

1. A message has one fate: what is not known is said, and a repeat has the same key.     unit/gateway/test_forward
2. No gap is silent: every node is named in every list, every missing event is fetched or declared.
                                                                      unit/gateway/test_scatter, unit/gateway/test_events
3. An address is no identity.                                                            unit/gateway/test_nodes
"""
