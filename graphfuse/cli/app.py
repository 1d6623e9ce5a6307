"""The commands, each in a file of its own, loaded when it is called."""

import typer

from graphfuse.cli import cache, demo, info, report, rules, study, tables

app = typer.Typer(
    name="graphfuse",
    help="Fuses any mix of modalities in one heterogeneous graph, and compares it fairly with every simpler way.",
    epilog="Start with: graphfuse demo --quick",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("demo")(demo.demo)
app.command("init")(tables.init)
app.command("check")(tables.check)
app.command("train")(study.train)
app.command("evaluate")(study.evaluate)
app.command("predict")(study.predict)
app.command("compare")(study.compare)
app.command("report")(report.report)
app.add_typer(rules.rules, name="rules")
app.command("cache")(cache.cache)
app.command("info")(info.info)
