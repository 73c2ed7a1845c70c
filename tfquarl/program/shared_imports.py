"""Imported last by the fork server: what was imported before stays in memory that all nodes share.

Python's garbage collector marks every object that it looks at, and the mark is in the object: one collection in a forked process would
copy the 70 MB of objects that TensorFlow's modules are made of. Frozen objects are never looked at again.
"""

import gc

gc.collect()
gc.freeze()
