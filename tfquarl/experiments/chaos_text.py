"""What came of a chaos run, as text."""

from tfquarl.experiments import chaos
from tfquarl.metrics import table


def describe(name: str, report: chaos.ChaosReport) -> str:
    """Kills, figures and faults of a report, under the name of what was killed."""
    rows = [[f"{kind} killed", count] for kind, count in sorted(report.kills.items())]
    rows += [[what, f"{value:,.4g}" if isinstance(value, float) else value] for what, value in report.figures.items()]
    text = table.format_table([f"killed: {name}", ""], rows).rstrip("\n")
    return "\n".join(
        [text, *(f"FAULT: {fault}" for fault in report.faults or [])] + ([] if report.faults else ["no fault"])
    )
