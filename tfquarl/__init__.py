"""tfquarl: reinforcement learning whose data is collected by int8 copies of the policy, and policies for the edge.

The flow, read straight down the tree:

|    | takes                          | file                                                 | gives                  |
|----|--------------------------------|------------------------------------------------------|------------------------|
|  1 | batch of transitions           | learner/policy_learner.py                            | updated variables      |
|  2 | variables, every N train steps | learner/snapshot_trigger.py                          | `PolicySnapshot`       |
|  3 | snapshot                       | publication/latest_table.py                          | item in a table of one |
|  4 | newest snapshot                | converter/conversion_worker.py                       | int8 flatbuffer        |
|  5 | flatbuffer and float network   | converter/parity_gate.py                             | `PolicyArtifact`       |
|  6 | artifact                       | publication/policy_publisher.py                      | artifact, then version |
|  7 | version                        | publication/policy_subscriber.py                     | newer artifact or None |
|  8 | artifact                       | collector/policy_slot.py                             | live interpreter       |
|  9 | observations                   | collector/collection_loop.py, vector_loop.py         | steps                  |
| 10 | steps                          | replay/transition_writer.py, tables.py, dataset.py   | batch, back to row 1   |

Nothing in a row needs a file of the row below it. docs/architecture.md says why.
"""
