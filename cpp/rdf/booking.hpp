// The compiled event loop: filters, histograms and tables of selected events on an RDataFrame.
//
// Only this header is shown to Cling, so that booking from Python instantiates no template. A function that
// is asked for something it was not compiled for returns -1 or a null pointer: then the same is booked as
// just-in-time strings.
#ifndef NA64ROOT_RDF_BOOKING_HPP
#define NA64ROOT_RDF_BOOKING_HPP

#include <string>
#include <vector>

class TH1D;
class TH2D;
namespace na64root::rdf {

class Graph;

// Parameters of the derived columns, and what is left out.
struct Settings {
    bool weighted{};              // na64_weight is mcWeight, not 1
    std::vector<unsigned> ranges; // first and last run of each range, for na64_period
    std::vector<unsigned> good;   // first run and spill, last run and spill of good ones, or none
    int periods{};                // ranges of run periods, which `good` is for
    std::vector<double> photomultiplier_balances; // of each run period, or one; for na64_veto
    std::vector<unsigned> cores;  // core cells of HCAL1, HCAL2, HCAL3 of each period, for na64_r, na64_r12
    bool once{};                  // an event whose number came before is left out
    std::vector<unsigned> spills; // run and spill of each spill that is left out
};

// Events that were left out, as EventFilter counts them.
struct Excluded {
    unsigned long duplicates{}, events_in_spills{};
    double weights_in_spills{}, squares_in_spills{};
};

// Sums of each spill, records of SpillRecorder one after another, and what else it found.
struct Recorded {
    unsigned long address{}, size{};
    int energy_bins{};
    unsigned long duplicates{}, out_of_order{};
    std::vector<unsigned> examples; // run, spill and number of the first duplicates
};

// Whether a derived column is made here as this function of columns, with these numbers: `settings` holds
// them from then on.
bool define(Settings &settings, const std::string &column, const std::string &function,
            const std::vector<std::string> &of, const std::vector<double> &numbers);

// A graph on a tree in files with these branches of tree A; node 0 is all events. Null where a branch is of a
// type that was not compiled for.
Graph *open(const std::string &tree, const std::vector<std::string> &files,
            const std::vector<std::string> &present, const Settings &settings);
void close(Graph *graph);

// A cut after a node: a predicate of selection.hpp of columns and then of numbers, of one call or of one for
// each run period after another. Returns the new node.
int filter(Graph &graph, int node, const std::string &predicate, const std::vector<std::string> &columns,
           const std::vector<double> &numbers);
// The events of a node that are in none of others. Returns the new node.
int without(Graph &graph, int node, const std::vector<int> &others);
// Which of some predicates the events of a node fail. Returns the number of the tally, to which `fails` adds
// them; that returns the predicate's bit.
int tally(Graph &graph, int node);
int fails(Graph &graph, int tally, const std::string &predicate, const std::vector<std::string> &columns,
          const std::vector<double> &numbers);
// Events that fail nothing in a tally but what has its bit in `but`. Returns the new node.
int passing(Graph &graph, int tally, unsigned long but);
// Whether a column of the events of a node is made, of a predicate (0 or 1) or as a "sum" of columns.
bool compute(Graph &graph, int node, const std::string &column, const std::string &function,
             const std::vector<std::string> &of, const std::vector<double> &numbers);
// Whether the events of a node go into a SpillRecorder, which is for one thread; "" for a column that is not
// there. The number of each event counts once where `once`.
bool record(Graph &graph, int node, const std::string &trigger, const std::string &ecal,
            const std::string &hcal, double ecal_below, double hcal_below, bool once);
// Filled with the events of a node, weighted by a column. Returns the number of the histogram.
int histogram(Graph &graph, int node, const std::string &x, const std::string &weight, int bins, double low,
              double high);
int histogram(Graph &graph, int node, const std::string &x, const std::string &y, const std::string &weight,
              int x_bins, double x_low, double x_high, int y_bins, double y_low, double y_high);
// One direction of a systematic source: `kind` with its size changes columns, smearing by a random number of
// the seed, the source's number and the event. Returns the number of the variation. Under it, a node and a
// histogram: what they were made of is booked once more as far as it changes, they remain where nothing does.
int vary(Graph &graph, const std::string &kind, double size, unsigned long seed, unsigned source,
         const std::vector<std::string> &columns);
int varied(Graph &graph, int variation, int node);
int varied_histogram(Graph &graph, int variation, int number);
// The values of columns for each event of a node. Returns the number of the table.
int table(Graph &graph, int node, const std::vector<std::string> &columns);

// The event loop, once everything is booked. Throws std::runtime_error where a branch cannot be read.
void run(Graph &graph);
unsigned loops(const Graph &graph); // run so far
// Events seen so far; may be called while the loop runs.
unsigned long events_done(const Graph &graph);

const Excluded &excluded(const Graph &graph); // after the loop
Recorded recorded(const Graph &graph);        // likewise; its spills live as long as the graph
// Filled, after the loop; they live as long as the graph.
TH1D *histogram1(Graph &graph, int number);
TH2D *histogram2(Graph &graph, int number);
const std::vector<double> &rows(const Graph &graph, int table); // row after row

} // namespace na64root::rdf

#endif
