"""Pictures from Python: each draws into the axes that it is given, and returns them."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import stratigraph as sg
from stratigraph.errors import InputError

RNG = np.random.default_rng(0)
A = {"conv": RNG.normal(size=(30, 5)), "z": RNG.normal(size=(30, 3))}


def panel():
    return Figure().subplots()


def test_a_heat_map_of_scores():
    found = sg.similarity_matrix(A, interval=True)
    axis = panel()
    assert sg.plot_heatmap(found, axis) is axis
    image = axis.images[0]
    np.testing.assert_array_equal(image.get_array(), found["value"])
    assert image.get_clim() == (0, 1)
    assert [text.get_text() for text in axis.get_yticklabels()] == ["conv", "z"]
    assert axis.texts[0].get_text() == "1.00"
    distances = sg.similarity_matrix(A, measure="angular_shape_distance")
    assert len(sg.plot_heatmap(distances, panel(), numbers=False).texts) == 0
    with pytest.raises(InputError, match=r"^m: expected scores with the dimensions x and y"):
        sg.plot_heatmap(found["value"].isel(x=0), panel())


def test_the_pictures_of_a_study(tiny_study):
    plot, run = tiny_study.plot, next(iter(tiny_study.runs.values()))
    axis = plot.heatmap(ax=panel(), measure="cka")
    own = tiny_study.similarity("cka").sel(
        run_x=run.run_id, run_y=run.run_id, step_x=run.steps[-1], step_y=run.steps[-1]
    )
    np.testing.assert_array_equal(axis.images[0].get_array(), own)
    lines = plot.convergence(panel(), configuration=plot.configurations[-1], kind="progress").lines
    assert len(lines) > 3
    assert sg.plot_findings(tiny_study, panel()).get_xlabel().startswith("estimate")
    assert plot.map(panel()).collections
    assert "losses" in plot.names
    assert plot.figure("losses").axes
    with pytest.raises(InputError, match=r"no figure is called 'loss'.* Did you mean 'losses'"):
        plot.figure("loss")
    with pytest.raises(InputError, match="was not compared at step 7"):
        plot.heatmap(run.run_id[:6], panel(), step=7)
    with pytest.raises(InputError, match="configuration: unknown name 'vea'"):
        plot.convergence(panel(), configuration="vea")


def test_a_table_of_ones_own_is_drawn():
    table = pd.DataFrame({"layer": "z", "part": "latents", "step": [0, 10], "mean": [0.2, 1.0],
                          "low": [0.1, 1.0], "high": [0.3, 1.0]})  # fmt: skip
    axis = sg.plot_convergence(table, panel())
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), [0.2, 1.0])


def test_without_axes_a_notebook_gets_a_figure():
    import matplotlib.pyplot as plt

    axis = sg.plot_heatmap(sg.similarity_matrix(A))
    assert plt.gcf() is axis.figure
    plt.close(axis.figure)
