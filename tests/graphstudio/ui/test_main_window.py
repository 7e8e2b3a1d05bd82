"""The window as a whole: opening, editing, themes, languages, layout, closing."""

from __future__ import annotations

import os
import signal

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QPushButton

from graphstudio import i18n
from graphstudio.document import commands
from graphstudio.document import format as file_format
from graphstudio.document.versions import NUM_KEPT, versions_of
from graphstudio.resources import data_dir
from graphstudio.services.projects import open_project
from graphstudio.ui.inspector.editors import ComboBox
from graphstudio.ui.main_window import MainWindow
from graphstudio.ui.recovery import recovery_dir
from graphstudio.ui.settings import Settings
from graphstudio.ui.theme import LIGHT, Theme
from graphstudio.ui.workspace import DOCKS

CTRL = Qt.KeyboardModifier.ControlModifier


def trigger(window, command_id):
    window.refresh_actions()
    action = window.actions_by_id[command_id]
    assert action.isEnabled(), command_id
    action.trigger()


def hidden(window) -> set[str]:
    return {name for name, dock in window.docks.items() if dock.isHidden()}


def test_the_start_page_shows_no_panels(window):
    assert not window.has_project()
    assert hidden(window) == set(DOCKS)
    assert window.windowTitle() == "graphstudio"
    for command in ("file.save", "run.train", "edit.undo", "canvas.add"):
        assert not window.actions_by_id[command].isEnabled(), command


def test_an_example_brings_the_panels(digits):
    assert digits.has_project()
    assert hidden(digits) == set()
    assert digits.windowTitle() == "digits_cnn[*] — graphstudio"
    assert not digits.isWindowModified()
    assert len(digits.canvas.graph_scene.nodes) == len(digits.project.document.main.nodes)


def test_a_named_project_is_in_the_title_and_the_recent_list(window):
    path = data_dir("projects") / "digits_mlp" / "digits_mlp.gsproj"
    assert window.open_path(path)
    assert window.windowTitle() == "digits_mlp[*] — graphstudio"
    assert window.settings.recent == [str(path.resolve())]
    window.menus.fill_recent()
    assert [a.text() for a in window.menus.recent.actions()] == ["digits_mlp"]


def test_an_edit_marks_the_title_and_saving_clears_it(digits, answers, tmp_path):
    digits.palette_panel.node_activated.emit("layer.dense")
    assert digits.isWindowModified()
    answers.to_save = tmp_path / "x.gsproj"
    trigger(digits, "file.save")
    assert not digits.isWindowModified()
    assert digits.windowTitle().startswith("x[*]")
    assert len(file_format.load(answers.to_save).document.main.nodes) == 15


@pytest.mark.parametrize("suffix", [".svg", ".png", ".PNG"])
def test_the_graph_is_exported_as_a_picture(digits, answers, tmp_path, suffix):
    answers.to_save = tmp_path / f"graph{suffix}"
    trigger(digits, "file.export_picture")
    assert answers.asked == ["picture digits_cnn.svg"]
    picture = QImage(str(answers.to_save))
    content = digits.canvas.graph_scene.content_rect()
    scale = 1 if suffix == ".svg" else 2
    assert scale * content.width() < picture.width() < scale * (content.width() + 100)
    assert str(answers.to_save) in digits.status.currentMessage()
    assert digits.project.history.clean


def test_a_picture_that_cannot_be_written_is_told(digits, answers, tmp_path):
    answers.to_save = tmp_path / "missing" / "graph.svg"
    trigger(digits, "file.export_picture")
    (notice,) = digits.notices.shown
    assert "graph.svg" in notice.text
    assert notice.severity == "error"
    answers.to_save = None
    trigger(digits, "file.export_picture")
    assert list(tmp_path.glob("*.svg")) == []


def test_an_empty_graph_is_no_picture(window):
    window.files.new()
    window.refresh_actions()
    assert not window.actions_by_id["file.export_picture"].isEnabled()


def test_undo_and_redo_are_commands_of_the_whole_window(digits, qtbot):
    count = len(digits.project.document.main.nodes)
    digits.palette_panel.node_activated.emit("layer.dense")
    trigger(digits, "edit.undo")
    assert len(digits.project.document.main.nodes) == count
    assert not digits.actions_by_id["edit.undo"].isEnabled()
    trigger(digits, "edit.redo")
    assert len(digits.project.document.main.nodes) == count + 1


def test_the_palette_starts_a_project_if_there_is_none(window):
    window.palette_panel.node_activated.emit("layer.dense")
    assert window.has_project()
    assert [n.type for n in window.project.document.main.nodes.values()] == ["layer.dense"]


def test_themes_switch_live(digits):
    trigger(digits, "view.light")
    assert digits.theme.tokens is LIGHT
    assert QApplication.palette().window().color().name() == LIGHT.window
    assert digits.actions_by_id["view.light"].isChecked()
    assert not digits.actions_by_id["view.dark"].isChecked()
    trigger(digits, "view.toggle_theme")
    assert digits.settings.theme == "dark"


def test_languages_switch_live_and_back(digits):
    digits.build_dashboard()
    english = texts(digits)
    digits.use_language("zh")
    chinese = texts(digits)
    assert digits.docks["inspector"].windowTitle() == "检查器"
    assert digits.menuBar().actions()[0].text() == "文件(&F)"
    assert digits.actions_by_id["edit.undo"].text() == "撤销"
    digits.use_language("en")
    assert texts(digits) == english
    assert len(chinese - english) > 40


def texts(window) -> set[str]:
    found = {w.text() for w in window.findChildren(QLabel)}
    found |= {w.text() for w in window.findChildren(QAbstractButton)}
    return found | {a.text() for a in window.actions()}


def test_no_text_of_the_shell_stays_english(digits):
    """Every label and button that has a translation shows it."""
    digits.build_dashboard()
    digits.use_language("zh")
    zh = i18n.catalogue("zh")
    names = {n.label for n in digits.project.document.main.nodes.values()}
    left = {t for t in texts(digits) if t in zh and zh[t] != t and t not in names}
    assert not left


@pytest.mark.parametrize("language", ["en", "zh"])
def test_labels_of_the_inspector_fit_their_panel(digits, language, qtbot):
    digits.use_language(language)
    conv = next(i for i, n in digits.project.document.main.nodes.items() if "conv" in n.type)
    for selection in ([], [conv]):
        digits.project.select(selection)
        qtbot.wait(20)
        area = digits.inspector._area
        assert area.widget().width() <= area.viewport().width()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_source_of_the_data_is_read_whole(digits, language, qtbot):
    digits.use_language(language)
    qtbot.wait(20)
    box = digits.inspector.findChild(ComboBox)
    assert box.currentText()
    assert box.shown_text() == box.currentText()


def test_layout_is_remembered(qtbot, answers):
    def make(settings):
        made = MainWindow(settings, Theme(), questions=answers)
        made.resize(1300, 800)
        qtbot.addWidget(made)
        made.show()
        made.files.new()
        qtbot.wait(50)
        return made

    settings = Settings()
    first = make(settings)
    first.docks["problems"].hide()
    first.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, first.docks["palette"])
    first.close()
    second = make(Settings.load())
    assert hidden(second) == {"problems"}
    where = second.dockWidgetArea(second.docks["palette"])
    assert where == Qt.DockWidgetArea.RightDockWidgetArea
    trigger(second, "view.reset_layout")
    assert hidden(second) == set()
    where = second.dockWidgetArea(second.docks["palette"])
    assert where == Qt.DockWidgetArea.LeftDockWidgetArea


@pytest.mark.parametrize("size", [(1350, 720), (1900, 720), (1900, 1150)])
def test_panels_of_a_large_screen_leave_room_on_a_small_one(qtbot, answers, size):
    def make(settings, size):
        made = MainWindow(settings, Theme(), questions=answers)
        made.resize(*size)
        qtbot.addWidget(made)
        made.show()
        made.files.new()
        qtbot.wait(50)
        return made

    first = make(Settings(), (1900, 1150))
    docks = first.docks
    first.resizeDocks([docks["training"], docks["code"]], [600, 600], Qt.Orientation.Vertical)
    first.resizeDocks([docks["inspector"]], [700], Qt.Orientation.Horizontal)
    qtbot.wait(20)
    first.close()
    second = make(Settings.load(), size)
    shown = second.docks["inspector"].width(), second.docks["code"].height()
    if size == (1900, 1150):
        assert shown == (700, 600), "as they were left"
    else:
        assert second.canvas.height() >= 300
        assert second.canvas.width() >= 600
        assert shown[0] == 700 if size[0] == 1900 else shown[0] < 400


def test_a_layout_of_another_version_is_not_restored(qtbot, answers):
    settings = Settings(layout="AAAA", layout_version=99, geometry="not base64")
    made = MainWindow(settings, Theme(), questions=answers)
    qtbot.addWidget(made)
    made.show()
    made.files.new()
    assert hidden(made) == set()


def test_focus_mode_leaves_the_canvas_and_comes_back(digits):
    digits.docks["problems"].hide()
    trigger(digits, "view.focus")
    assert hidden(digits) == set(DOCKS)
    trigger(digits, "view.focus")
    assert hidden(digits) == {"problems"}


def test_sides_are_hidden_and_shown(digits):
    trigger(digits, "view.sides")
    assert hidden(digits) == {"palette", "inspector"}
    trigger(digits, "view.sides")
    assert hidden(digits) == set()


def test_panes_are_reached_by_keyboard(digits, qtbot):
    digits.activateWindow()
    digits.canvas.setFocus()
    seen = []
    for _ in range(4):
        digits.step_pane(1)
        focus = QApplication.focusWidget()
        seen.append(next((n for n, d in digits.docks.items() if d.isAncestorOf(focus)), "canvas"))
    assert seen[-1] == "canvas"
    assert {"palette", "inspector"} <= set(seen)


def test_problems_are_counted_and_stepped_through(digits):
    project = digits.project
    flatten = next(i for i, n in project.document.main.nodes.items() if n.type == "shape.flatten")
    project.push(commands.remove_nodes(project.document, "main", [flatten], heal=True))
    project.check_now()
    assert digits.docks["problems"].windowTitle() == "Problems (1)"
    assert digits.status.problems.text().strip() == "1 error"
    assert not digits.actions_by_id["run.train"].isEnabled()
    trigger(digits, "find.next_problem")
    assert project.selection == {project.result.first_error.node}
    project.undo()
    project.check_now()
    assert digits.docks["problems"].windowTitle() == "Problems"
    assert digits.actions_by_id["run.train"].isEnabled()


def test_a_run_is_seen_and_its_end_told(digits, qtbot):
    """Whatever dock is in front, a run begun by the button shows, and a killed one is told of."""
    qtbot.waitExposed(digits)
    digits.docks["code"].bring_up()
    with qtbot.waitSignal(digits.bridge.begun, timeout=20_000):
        qtbot.mouseClick(digits.findChild(QPushButton, "train_button"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not digits.dashboard.visibleRegion().isEmpty())
    qtbot.waitUntil(lambda: digits.bridge.state == "running", timeout=60_000)
    assert digits.notices.shown == []
    digits.docks["code"].bring_up()
    qtbot.waitUntil(digits.dashboard.visibleRegion().isEmpty)
    os.kill(digits.bridge.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: len(digits.notices.shown) == 1, timeout=20_000)
    digits.notices.shown[0].buttons[0].click()
    qtbot.waitUntil(lambda: not digits.dashboard.visibleRegion().isEmpty())


def test_a_dropped_project_is_opened(window, qtbot):
    path = data_dir("projects") / "digits_mlp" / "digits_mlp.gsproj"
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(10, 10), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    window.dropEvent(event)
    qtbot.waitUntil(lambda: window.project.path == path)


def test_a_project_can_be_dropped_on_the_canvas(digits):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/x/y.gsproj")])
    event = QDragEnterEvent(
        QPoint(30, 30), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    event.ignore()
    QApplication.sendEvent(digits.canvas.viewport(), event)
    assert event.isAccepted()


def test_other_files_are_not_taken(window, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "x.png"))])
    event = QDropEvent(
        QPointF(10, 10), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    event.ignore()
    window.dropEvent(event)
    assert not event.isAccepted()


def test_an_earlier_version_can_be_had_again(digits, answers, tmp_path):
    answers.to_save = tmp_path / "x.gsproj"
    trigger(digits, "file.save")
    count = len(digits.project.document.main.nodes)
    digits.menus.fill_versions()
    assert [a.isEnabled() for a in digits.menus.versions.actions()] == [False]
    digits.palette_panel.node_activated.emit("layer.dense")
    trigger(digits, "file.save")
    digits.palette_panel.node_activated.emit("layer.dense")
    digits.menus.fill_versions()
    (action,) = digits.menus.versions.actions()
    answers.on_unsaved = "cancel"
    action.trigger()
    assert len(digits.project.document.main.nodes) == count + 2
    answers.on_unsaved = "discard"
    action.trigger()
    assert len(digits.project.document.main.nodes) == count
    assert digits.project.path == answers.to_save
    assert digits.isWindowModified(), "the file holds the later version until this one is saved"
    assert "Save it to keep it." in digits.notices.shown[0].text
    trigger(digits, "file.save")
    assert len(file_format.load(answers.to_save).document.main.nodes) == count


def test_saving_on_the_way_does_not_drop_the_version_that_was_chosen(digits, answers, tmp_path):
    answers.to_save = tmp_path / "x.gsproj"
    count = len(digits.project.document.main.nodes)
    for _ in range(NUM_KEPT + 1):
        trigger(digits, "file.save")
        digits.palette_panel.node_activated.emit("layer.dense")
    digits.menus.fill_versions()
    actions = digits.menus.versions.actions()
    assert len(actions) == NUM_KEPT
    answers.on_unsaved = "save"
    actions[-1].trigger()
    assert answers.told == []
    assert len(file_format.load(answers.to_save).document.main.nodes) == count + NUM_KEPT + 1
    assert len(digits.project.document.main.nodes) == count
    (copy,) = recovery_dir().glob("*.json")
    assert digits.autosave.file == copy, "the version is nowhere else any more"


def test_going_back_hides_neither_a_change_on_disk_nor_what_is_odd(digits, answers, tmp_path):
    answers.to_save = tmp_path / "x.gsproj"
    trigger(digits, "file.save")
    digits.palette_panel.node_activated.emit("layer.dense")
    trigger(digits, "file.save")
    (version,) = versions_of(answers.to_save)
    version.path.write_text(version.path.read_text().replace("{", '{"later": 1,', 1))
    theirs = answers.to_save.read_text() + "\n"
    answers.to_save.write_text(theirs)
    assert digits.files.open_version(version)
    assert any("later" in notice.text for notice in digits.notices.shown)
    assert digits.files.changed_on_disk()
    answers.asked.clear()
    trigger(digits, "file.save")
    assert answers.asked == ["overwrite x.gsproj"]
    assert answers.to_save.read_text() == theirs


def test_a_broken_file_changes_nothing(digits, answers, tmp_path):
    bad = tmp_path / "bad.gsproj"
    bad.write_text("{")
    project = digits.project
    assert not digits.open_path(bad)
    assert answers.told
    assert digits.project is project
    assert digits.has_project()


def test_a_project_is_opened_where_it_was_left(digits, answers, tmp_path, qtbot):
    path = answers.to_save = tmp_path / "x.gsproj"
    item = next(iter(digits.canvas.graph_scene.nodes.values()))
    qtbot.wait(50)
    digits.canvas.set_zoom(1.3)
    digits.canvas.center_on(item.body_rect().center())
    left = digits.canvas.state()
    qtbot.waitUntil(lambda: digits.project.document.view.get("canvas") == left)
    trigger(digits, "file.save_as")
    digits.close_project()
    assert digits.open_path(path)
    qtbot.waitUntil(lambda: digits.canvas.zoom == pytest.approx(1.3))
    assert digits.canvas.state()["center"] == pytest.approx(left["center"], abs=3)
    assert digits.status.zoom.text() == "130%"


def test_a_view_of_everything_is_one_in_a_smaller_window_too(digits, answers, tmp_path, qtbot):
    path = answers.to_save = tmp_path / "x.gsproj"
    qtbot.wait(50)
    digits.canvas.fit_all()
    kept = digits.canvas.state()
    qtbot.waitUntil(lambda: digits.project.document.view.get("canvas") == kept)
    trigger(digits, "file.save_as")
    digits.close_project()
    digits.resize(1000, 640)
    assert digits.open_path(path)
    qtbot.waitUntil(lambda: digits.canvas.visible_rect().contains(digits.canvas.content_rect()))
    assert digits.canvas.zoom < kept["zoom"]


def test_a_view_of_nothing_is_not_gone_back_to(digits, answers, tmp_path, qtbot):
    path = answers.to_save = tmp_path / "x.gsproj"
    digits.project.document.view["canvas"] = {"zoom": 2.0, "center": [90_000.0, 0.0]}
    trigger(digits, "file.save_as")
    digits.close_project()
    assert digits.open_path(path)
    qtbot.waitUntil(lambda: digits.canvas.zoom < 1.0)
    assert digits.canvas.visible_rect().contains(digits.canvas.content_rect())


def test_a_file_changed_outside_is_noticed(digits, answers, tmp_path):
    answers.to_save = tmp_path / "x.gsproj"
    trigger(digits, "file.save_as")
    answers.to_save.write_text(answers.to_save.read_text() + "\n")
    digits._look_at_disk()
    (notice,) = digits.notices.shown
    assert "changed by another program" in notice.text
    old = digits.project
    notice.buttons[0].click()
    assert digits.project is not old
    assert not digits.files.changed_on_disk()


def test_a_file_that_goes_is_noticed_and_can_be_written_again(digits, answers, tmp_path):
    path = answers.to_save = tmp_path / "x.gsproj"
    trigger(digits, "file.save_as")
    before = path.read_bytes()
    path.unlink()
    digits._look_at_disk()
    digits._look_at_disk()
    (notice,) = digits.notices.shown
    assert "moved or deleted" in notice.text
    assert digits.isWindowModified()
    assert digits.autosave.file is not None, "a crash now would lose the only copy"
    notice.buttons[0].click()
    assert path.read_bytes() == before
    assert not digits.isWindowModified()
    assert digits.autosave.file is None


def test_closing_asks_and_can_be_refused(digits, answers):
    digits.palette_panel.node_activated.emit("layer.dense")
    answers.on_unsaved = "cancel"
    assert not digits.close()
    assert digits.isVisible()
    answers.on_unsaved = "discard"
    assert digits.close()
    assert digits.autosave.file is None


def test_closing_a_project_leads_to_the_start_page(digits):
    trigger(digits, "file.close")
    assert not digits.has_project()
    assert hidden(digits) == set(DOCKS)


def test_projects_can_be_opened_again_and_again(window, qtbot):
    for name in ("digits_cnn", "digits_mlp", "digits_cnn"):
        assert window.files.new_from_example(name)
        qtbot.wait(10)
    types = {type(w).__name__ for w in window.findChildren(type(window.inspector))}
    assert types == {"InspectorPanel"}
    qtbot.wait(50)
    assert len(window.findChildren(type(window.inspector))) == 1
    assert len(window.findChildren(type(window.canvas))) == 1


def test_a_click_in_the_code_selects_on_the_canvas(digits):
    conv = next(i for i, n in digits.project.document.main.nodes.items() if "conv" in n.type)
    digits.code.node_activated.emit(conv)
    assert digits.project.selection == {conv}


def test_keys_reach_the_window(digits, qtbot):
    digits.activateWindow()
    digits.canvas.setFocus()
    digits.palette_panel.node_activated.emit("layer.dense")
    count = len(digits.project.document.main.nodes)
    qtbot.keyClick(digits, Qt.Key.Key_Z, CTRL)
    assert len(digits.project.document.main.nodes) == count - 1
    qtbot.keyClick(digits, Qt.Key.Key_B, CTRL)
    assert {"palette", "inspector"} <= hidden(digits)


def test_letters_typed_in_the_inspector_stay_there(digits, qtbot):
    dense = next(i for i, n in digits.project.document.main.nodes.items() if "dense" in n.type)
    digits.project.select([dense])
    field = digits.inspector.node_page.name_field
    digits.activateWindow()
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "mhf")
    qtbot.keyClick(field, Qt.Key.Key_Backspace)
    assert field.text() == "mh"
    assert dense in digits.project.document.main.nodes
    assert not digits.project.document.main.nodes[dense].bypass


def test_the_window_is_usable_small(digits, qtbot):
    digits.resize(1024, 640)
    qtbot.wait(50)
    assert digits.width() <= 1024 + 1
    assert digits.canvas.width() > 200


def test_an_empty_canvas_is_no_mistake(window):
    window.files.new()
    assert window.status.problems.text().strip() == "Nothing drawn yet"
    assert window.docks["problems"].windowTitle() == "Problems"
    window.palette_panel.node_activated.emit("layer.dense")
    window.project.check_now()
    assert "errors" in window.status.problems.text()
    assert "(" in window.docks["problems"].windowTitle()


def test_status_tells_the_size_of_the_model(digits):
    reports = digits.project.result.nodes.values()
    count = sum(r.num_parameters for r in reports)
    assert f"{count / 1000:.1f} k parameters" in digits.status.size.text()
    digits.canvas.zoom_reset()
    assert digits.status.zoom.text() == "100%"


def test_the_status_tells_the_zoom_of_the_project_that_is_open(window, qtbot):
    for name in ("digits_cnn", "digits_mlp"):
        assert window.files.new_from_example(name)
        qtbot.wait(30)
        assert window.canvas.zoom < 0.9
        assert window.status.zoom.text() == f"{window.canvas.zoom:.0%}"
        window.canvas.zoom_reset()


def test_menus_name_every_command_once(digits):
    fill = list(digits.menuBar().actions())
    assert [m.text().replace("&", "") for m in fill] == ["File", "Edit", "View", "Run", "Help"]
    for entry in fill:
        texts = [a.text() for a in entry.menu().actions() if not a.isSeparator()]
        assert len(texts) == len(set(texts))
        assert all(texts)


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_place_of_a_popup_is_inside_the_window(digits, qtbot):
    trigger(digits, "help.commands")
    popup = QApplication.activePopupWidget()
    assert popup is not None
    corner = popup.mapToGlobal(QPoint(0, 0))
    assert digits.frameGeometry().contains(corner)
    popup.close()


def test_a_project_named_at_the_start_has_its_views_built_once(qtbot, answers, monkeypatch):
    built = []
    build = MainWindow._build_views
    monkeypatch.setattr(
        MainWindow, "_build_views", lambda w, project: (built.append(project), build(w, project))
    )
    path = data_dir("projects") / "digits_mlp" / "digits_mlp.gsproj"
    made = MainWindow(Settings(), Theme(), questions=answers, opened=open_project(path))
    made.resize(1440, 900)
    qtbot.addWidget(made)
    made.show()
    qtbot.wait(20)
    assert built == [made.project]
    assert made.windowTitle() == "digits_mlp[*] — graphstudio"
    assert made.settings.recent == [str(path.resolve())]
    assert hidden(made) == set()
    assert made.inspector.isVisible()
    assert not made.files.changed_on_disk()
    assert made.actions_by_id["run.train"].isEnabled()
    made.close_project()
    assert hidden(made) == set(DOCKS)
    made.files.new()
    assert hidden(made) == set()
