// What ROOT files hold, without an event loop of ROOT: trees, the numbers of their columns, spills. Every
// answer is JSON, so that one call from Python compiles nothing but itself.
#ifndef NA64ROOT_RDF_SURVEY_HPP
#define NA64ROOT_RDF_SURVEY_HPP

#include <string>
#include <vector>

class TTree;
namespace na64root::rdf {

// Type, title and length of the leaf of each of these branches of a TTree, its friends' too; null where there
// is no such branch, and only the class of one that has not one leaf.
std::string leaves(TTree &tree, const std::vector<std::string> &names);

// What is in a file, and in folders in it to some depth: name and class of every key, older cycles apart.
std::string contents(const std::string &file);

// The columns of a TTree or an RNTuple, over all files: type, shape, range, an example, and how many numbers
// are NaN, infinite, or look like "no value". Those in `whole` are read in every event, and a basket of them
// must be sound; of `others`, where they are asked for, no more than two megabytes of a file are looked at.
std::string survey(const std::vector<std::string> &files, const std::string &tree,
                   const std::vector<std::string> &whole, bool others);

// Events and physics triggers of each spill, in order, and how many events have a number that came before
// (looked for where `once`). `numbers`: branches of run, spill and number in the spill; `flags`: those of the
// cut `trigger`, three that are set and one that is not, or none. All are numbers, one an event.
std::string spills(const std::vector<std::string> &files, const std::string &tree,
                   const std::vector<std::string> &numbers, const std::vector<std::string> &flags, bool once);

} // namespace na64root::rdf

#endif
