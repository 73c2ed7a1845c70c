"""All publication tables of a run, for its server."""

import reverb

from tfquarl.publication import latest_table
from tfquarl.publication import policy_publisher
from tfquarl.publication import snapshot_channel


def make_publication_tables() -> list[reverb.Table]:
    """Tables for snapshots, policies and evaluation pairs: a payload and a version each."""
    names = (snapshot_channel.TABLE, policy_publisher.POLICY_TABLE, policy_publisher.EVALUATION_TABLE)
    return [table for name in names for table in latest_table.make_latest_tables(name)]
