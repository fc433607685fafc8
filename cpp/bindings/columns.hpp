// Events as columns: an array (events, dimensions of the branch...) for each branch of numbers.
#ifndef NA64ROOT_BINDINGS_COLUMNS_HPP
#define NA64ROOT_BINDINGS_COLUMNS_HPP

#include <set>
#include <string>
#include <type_traits>

#include "bindings.hpp"
#include "na64root/parallel.hpp"

namespace na64root::bindings {

// Makes the array of each branch, where `wanted` names it or is empty; a pointer to its data, or null.
struct ColumnMaker {
    pybind11::dict &columns;
    std::vector<char *> &pointers;
    pybind11::ssize_t events;
    const std::set<std::string> &wanted;

    template <class Member> void operator()(const char *name, Member &, const char *) const {
        using Element = std::remove_all_extents_t<Member>;
        if constexpr (std::is_arithmetic_v<Element>) {
            if (!wanted.empty() && wanted.count(name) == 0) {
                pointers.push_back(nullptr);
                return;
            }
            std::vector<pybind11::ssize_t> shape{events};
            add_dimensions<Member>(shape);
            pybind11::array_t<Element> column(shape);
            pointers.push_back(reinterpret_cast<char *>(column.mutable_data()));
            columns[name] = column;
        }
    }

    template <class Member> static void add_dimensions(std::vector<pybind11::ssize_t> &shape) {
        if constexpr (std::is_array_v<Member>) {
            shape.push_back(static_cast<pybind11::ssize_t>(std::extent_v<Member>));
            add_dimensions<std::remove_extent_t<Member>>(shape);
        }
    }
};

// Copies an event to its row; needs no GIL.
struct RowWriter {
    const std::vector<char *> &pointers;
    std::size_t row, column = 0;

    template <class Member> void operator()(const char *, Member &member, const char *) {
        if constexpr (std::is_arithmetic_v<std::remove_all_extents_t<Member>>)
            if (char *data = pointers[column++])
                std::copy_n(reinterpret_cast<const char *>(&member), sizeof(Member),
                            data + row * sizeof(Member));
    }
};

// `make(i, event)` fills event i, from any thread; the columns named in `wanted`, all when it is empty.
template <class Event, class Make>
pybind11::dict columns_of(pybind11::ssize_t events, int threads, const std::set<std::string> &wanted,
                          const Make &make) {
    pybind11::dict columns;
    std::vector<char *> pointers;
    Event shape{};
    for_each_branch(shape, ColumnMaker{columns, pointers, events, wanted});
    for (const std::string &name : wanted)
        if (!columns.contains(name.c_str()))
            throw std::invalid_argument("no column " + name + " of numbers");
    pybind11::gil_scoped_release release;
    in_parts(events, threads, [&](pybind11::ssize_t begin, pybind11::ssize_t end) {
        Event event{};
        for (pybind11::ssize_t i = begin; i < end; ++i) {
            make(i, event);
            for_each_branch(event, RowWriter{pointers, static_cast<std::size_t>(i)});
        }
    });
    return columns;
}

} // namespace na64root::bindings

#endif
