"""The live page: its menus, the map over the photo, and the gaze map beside it. Streamlit runs it at each change."""

import pathlib
import re
from collections.abc import Mapping

import numpy as np
import streamlit as st

from kerasal import gaze, images
from kerasal.attribution import method_spec
from kerasal.images.image_folders import SUFFIXES
from kerasal.viewer import menus, page_parts
from kerasal.viewer.live_model import LiveModel, Shown, describe_error
from kerasal.viewer.photo_list import Photo, read_dropped, read_photo
from kerasal.viewer.photo_maps import Legend, draw_on_photo

_GAZE_LEGEND = Legend("overlay", "hardly looked at", "looked at most")
_VIEWS = ("Map over photo", "Map", "Photo")


def show_page(live: LiveModel, files: Mapping[str, pathlib.Path]) -> None:
    """Show the page of a model, with the image files that its menu lists by name."""
    st.set_page_config(f"kerasal view: {live.model.name}", page_parts.icon(), "wide")
    st.html(page_parts.STYLE)
    st.title(f"kerasal view: {_plain(live.model.name)}", anchor=False)
    settings, pictures = st.columns([1, 3.2], gap="large")
    try:
        with settings, st.container(key="settings"):
            photo = _choose_photo(files)
            method, class_index, layer, output = _choose_map(live, photo)
        with pictures:
            _show_pictures(live, photo, method, class_index, layer, output)
    except Exception as error:  # whatever is wrong with a photo, a model or a method is a sentence, not a stack trace
        with pictures:
            st.error(_plain(describe_error(error)), icon=":material/error:")


def _choose_photo(files: Mapping[str, pathlib.Path]) -> Photo:
    """Return the photo that was dropped last, or another from the list."""
    dropped = st.file_uploader(
        "Drop a photo here", accept_multiple_files=True, type=[suffix[1:] for suffix in SUFFIXES], key="dropped"
    )
    uploads = {f"{file.name} (dropped)": file for file in dropped}
    names = [*list(uploads)[::-1], *files]
    if len(uploads) > st.session_state.get("uploads", 0):
        st.session_state["photo"] = names[0]
    st.session_state["uploads"] = len(uploads)
    if st.session_state.get("photo") not in names:
        st.session_state["photo"] = names[0]
    name = st.selectbox("Photo", names, key="photo")
    return (
        read_dropped(uploads[name].name, uploads[name].getvalue()) if name in uploads else read_photo(name, files[name])
    )


def _choose_map(live: LiveModel, photo: Photo) -> tuple[str, int | None, str | None, str | None]:
    """Return the method, the class, the layer and the output that are chosen; None for the defaults."""
    method = st.selectbox("Method", menus.method_names(), key="method")
    class_index = layer = output = None
    if live.model.class_count > 1:
        class_index = _choose_class(live, photo)
    elif live.outputs:
        output = st.selectbox("Output", live.outputs, key="output")
    if menus.takes_layer(method):
        layer = st.selectbox(
            "Layer",
            ["", *live.layers],
            format_func=lambda path: path or "default of the method",
            key="layer",
            help="The layer whose channels are weighted.",
        )
    st.session_state.setdefault("gaze", True)
    st.toggle("Where people look", key="gaze", help="The prediction of the gaze model, beside the map.")
    spec = method_spec(method)
    with st.expander("About the method"):
        st.write(_plain(spec.summary))
        st.caption(_plain(f"Source: {spec.reference}."))
    return method, class_index, layer or None, output


def _choose_class(live: LiveModel, photo: Photo) -> int | None:
    """Return the chosen class, which stays chosen for other photos; None for the top class of each photo."""
    with st.spinner("Classifying"):
        scores = live.scores(photo)
    names = menus.class_names(live.model, scores)
    indices = list(names)
    chosen = st.session_state.get("class")
    place = st.selectbox(
        "Class",
        range(len(indices)),
        index=indices.index(chosen),
        format_func=lambda place: names[indices[place]],
        key=f"class of {photo.key}",  # the order of the classes is that of the photo
        help="Type to search among all classes.",
    )
    st.session_state["class"] = indices[place]
    return indices[place]


def _show_pictures(live: LiveModel, photo: Photo, method: str, class_index, layer, output) -> None:
    """Show the map and, if it is switched on, the gaze map beside it; below, the top classes."""
    view = st.segmented_control(
        "View", _VIEWS, default=_VIEWS[0], key="view", required=True, label_visibility="collapsed"
    )
    with_gaze = st.session_state["gaze"]
    # All results before the first picture, so that old and new ones never stand side by side.
    with st.spinner(f"Computing {method}", show_time=True):
        try:
            result = live.explain(photo, method, class_index, layer, output)
        except Exception as error:  # the gaze map and the classes are shown all the same
            result = error
        gaze_map = live.gaze_map(photo) if with_gaze else None
    left, right = st.columns(2, gap="medium") if with_gaze else (st.container(), None)
    with left:
        if isinstance(result, Exception):
            st.error(_plain(describe_error(result)), icon=":material/error:")
        else:
            _show_map(live, photo, view, method, result)
        if live.model.class_count > 1:
            st.html(page_parts.bars_html(live.model, live.scores(photo)))
    if right is not None and gaze_map is not None:
        with right:
            _show_gaze(photo, view, gaze_map)


def _show_map(live: LiveModel, photo: Photo, view: str, method: str, shown: Shown) -> None:
    explanation, drawn = shown.value, photo.to_draw()
    bgr = live.model.preprocessing is not None and live.model.preprocessing.bgr
    drawn_map = draw_on_photo(explanation, drawn, live.model.fit, bgr=bgr)
    of, legend = "the output" if explanation.class_index is None else explanation.label, drawn_map.over_legend
    picture = drawn_map.over
    if view == "Map":
        picture, legend = drawn_map.map, drawn_map.map_legend
    details = [f"layer {explanation.layer}"] if explanation.layer else []
    details += [f"{value} channels" for name, value in explanation.options.items() if name == "channels"]
    if drawn_map.cropped:
        details.append("the model sees only the part in color")
    if drawn.shape != photo.pixels.shape:
        details.append(f"drawn at {drawn.shape[1]} × {drawn.shape[0]} pixels")
    title, name = f"{method}: {of}", f"{_stem(photo)}-{method}-{of}"
    _show_picture(drawn if view == "Photo" else picture, title, name, legend, ", ".join(details))
    for text in shown.warnings:
        st.warning(_plain(text), icon=":material/warning:")


def _show_gaze(photo: Photo, view: str, values: np.ndarray) -> None:
    drawn = photo.to_draw()
    picture, legend = gaze.overlay(drawn, values), _GAZE_LEGEND
    if view == "Map":
        picture = images.heatmap(values - values.min(), signed=False)
        legend = _GAZE_LEGEND._replace(scale="heat")
    note = "a prediction; nobody's gaze was measured on this photo"
    _show_picture(drawn if view == "Photo" else picture, "Where people will look", f"{_stem(photo)}-gaze", legend, note)


def _show_picture(picture: np.ndarray, title: str, name: str, legend: Legend, note: str) -> None:
    """Show a picture with its title, legend and note, and a button that saves it at its full resolution."""
    st.markdown(f"**{_plain(title)}**")
    st.image(picture, width="stretch", output_format="JPEG", alt=title)
    st.html(page_parts.legend_html(legend))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(_plain(note[:1].upper() + note[1:]), width="stretch")
        st.download_button(
            "Save",
            lambda: images.encode_png(picture),
            re.sub(r"[^\w.-]+", "_", name) + ".png",
            "image/png",
            key=f"save {title}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _stem(photo: Photo) -> str:
    return pathlib.PurePath(photo.name.split(" (")[0]).stem


def _plain(text: str) -> str:
    """Return a text in which Markdown has no effect."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-!|$~:])", r"\\\1", text)
