"""MLflow's page of a search: a saved view (flat table, curves, parallel coordinates) and its links.

The format of a shared view is MLflow's own and not documented (3.17): it is pinned here, and a
plain link that only sorts and filters stands beside it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

TAG = "mlflow.sharedViewState."


_SECTION = {
    "uuid": "search",
    "name": "Search",
    "display": True,
    "isReordered": False,
    "columns": 1,
    "cardHeight": 320,
}
"""The charts of a search: each as wide as the page, this high in pixels."""


def view_key(search: str, identity: str) -> str:
    """The key of a search's view; `identity` is shared with no other search of that name."""
    return f"raysearch-{search}-{identity[:8]}"


def shared_view(
    search: str,
    identity: str,
    objective: str,
    metric: str,
    params: Sequence[str],
    numeric: Sequence[str],
    *,
    maximize: bool,
    time: int,
) -> str:
    """The value of the experiment tag that saves the view of a search.

    `objective` is the summary metric that trials are sorted by, `metric` the one with a curve,
    `params` the varying parameters and `numeric` those on the axes of the parallel coordinates.
    """
    columns = [
        f"metrics.`{objective}`",
        *(f"params.`{name}`" for name in params),
        "tags.`raysearch.state`",
    ]
    state = {
        "searchFilter": _filter(identity),
        "orderByKey": f"metrics.`{objective}`",
        "orderByAsc": not maximize,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsHiddenMode": "SHOWALL",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": False,
        "globalLineChartConfig": {
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
        },
        "compareRunCharts": _charts(objective, metric, numeric),
        "compareRunSections": [_SECTION],
    }
    text = json.dumps(state, separators=(",", ":")).encode()
    packed = "deflate;" + base64.b64encode(zlib.compress(text)).decode()
    return json.dumps(
        {"name": f"raysearch: {search}", "createdAt": time, "updatedAt": time, "state": packed}
    )


def _charts(objective: str, metric: str, numeric: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "type": "PARALLEL",
            "uuid": "search-parallel",
            "metricSectionId": "search",
            "deleted": False,
            "isGenerated": False,
            "runsCountToCompare": 100,
            "showAllRuns": True,
            "selectedParams": list(numeric),
            "selectedMetrics": [objective],
        },
        {
            "type": "LINE",
            "uuid": "search-curves",
            "metricSectionId": "search",
            "deleted": False,
            "isGenerated": False,
            "runsCountToCompare": 100,
            "metricKey": metric,
            "selectedMetricKeys": [metric],
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "scaleType": "linear",
            "xAxisScaleType": "linear",
            "xAxisKey": "step",
            "selectedXAxisMetricKey": "",
            "lineSmoothness": 0,
            "range": {},
        },
    ]


def _filter(identity: str) -> str:
    return f"tags.`raysearch.search_id` = '{identity}' AND tags.`raysearch.role` = 'trial'"


def links(
    address: str, experiment_id: str, search: str, identity: str, objective: str, *, maximize: bool
) -> dict[str, str]:
    """Addresses of the page of a search: `trials` and `charts` (the view), `plain` (without it)."""
    base = f"{address}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    shared = f"{base}&viewStateShareKey={quote(view_key(search, identity))}"
    order = quote(f"metrics.`{objective}`")
    plain = (
        f"{base}&searchFilter={quote(_filter(identity))}&orderByKey={order}"
        f"&orderByAsc={'false' if maximize else 'true'}"
    )
    return {"trials": shared, "charts": f"{shared}&compareRunsMode=CHART", "plain": plain}
