"""Programs that use the SDK at random, and a record of what they asked and were told.

``statehouse-sim live --python`` runs them against the real daemon, through a proxy that breaks
connections, and judges the record by the daemon's log (package sim/intent, which does the same
for the Go client and says what such a history is).

``words``     What a public method is asked and answers, as members of a history.
``recorder``  The lines of the history, and the tags that bind commits of the log to calls.
``recorded``  A client and a transaction whose calls are written down, awaited or not.
``programs``  What is done with them.
``__main__``  Runs programs until its input ends.
"""
