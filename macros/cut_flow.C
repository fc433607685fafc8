// The cut flow of an NA64 ntuple, in C++: RDataFrame with the predicates of the core, one event loop.
//
//   .venv/bin/root -l -b -q macros/cut_flow.C
//   .venv/bin/root -l -b -q 'macros/cut_flow.C("data.root", "cut_flow.pdf")'
//
// Thresholds are those of the card paper2021, with its period-dependent core cells for R; a test compares the
// counts with those of `na64root analyze`.
#pragma cling add_include_path("$ROOTSYS/../na64root/include")
#if !__has_include("na64root/selection.hpp")
#error "na64root is not installed beside this ROOT: run with its own, .venv/bin/root, after `make build`"
#endif
#pragma cling load("$ROOTSYS/../na64root/lib/libna64root.so")
#include "na64root/selection.hpp"

#include "ROOT/RDataFrame.hxx"
#include "TCanvas.h"
#include "TH1D.h"
#include "THStack.h"
#include "TLegend.h"
#include "TStyle.h"
#include "TSystem.h"

#include <iostream>
#include <string>
#include <vector>

namespace cut_flow_macro {

struct Period {
    const char *name;
    unsigned first_run, last_run;
    const char *hcal_core; // cells of HCAL1, HCAL2, HCAL3: bit x * 3 + y
};
const Period periods[] = {{"2016", 0, 2466, "{{1 << 4, 1 << 4, 1 << 4}}"},
                          {"2017", 2505, 3465, "{{1 << 4, 1 << 4, 1 << 4}}"},
                          {"2018", 3855, 4223, "{{1 << 4, 1 << 4, (1 << 4) | (1 << 7)}}"}};

// The cuts in their order; an empty expression: no cut of this signature.
struct Cut {
    std::string name, s1, s2;
    Cut(const char *cut, const char *both) : name(cut), s1(both), s2(both) {}
    Cut(const char *cut, const char *first, const char *second) : name(cut), s1(first), s2(second) {}
};
const std::vector<Cut> cuts = {
    {"trigger", "passes_trigger(isPhysics, isTriggerPhysics, isOnSpill, isCalibration)"},
    {"pile_up", "passes_pile_up(out_of_time_energy(ecalTotalNoTimecut, ecalTotal), 30.0)"},
    {"straw", "passes_straw(straw3X, straw3Y, 1, 5)"},
    {"beam_cell", "passes_beam_cell(leading_ecal_cell(ECAL_ene), 3, 3)"},
    {"srd", "passes_srd(SRD_ene[0], SRD_ene[1], SRD_ene[2], 0.001, 0.080, 2)"},
    {"momentum", "passes_momentum(trackMomentum, 100.0, 3.0)"},
    {"preshower", "passes_preshower(ecal0, 0.4)"},
    {"ecal", "passes_ecal(ecalTotal, 85.0)", "passes_ecal(ecalTotal, 50.0)"},
    {"veto", "passes_veto(veto_energy(VETO_ene, 0.3), 0.01)"},
    {"hcal", "passes_hcal_s1(hcal0, hcal1, hcal2, 1.0, 15.0)", "passes_hcal_s2(hcal0, hcal1, hcal2, 1.0)"},
    {"r", "passes_r(hcal_r(HCAL_ene, core), 0.06)", ""},
    {"shower_chi2", "passes_shower_chi2(showerChi2, 10.0)"}};
const char *const branches[] = {"run",
                                "isPhysics",
                                "isTriggerPhysics",
                                "isOnSpill",
                                "isCalibration",
                                "ecalTotal",
                                "ecalTotalNoTimecut",
                                "straw3X",
                                "straw3Y",
                                "ECAL_ene",
                                "SRD_ene",
                                "trackMomentum",
                                "ecal0",
                                "VETO_ene",
                                "hcal0",
                                "hcal1",
                                "hcal2",
                                "HCAL_ene",
                                "showerChi2"};

} // namespace cut_flow_macro

void cut_flow(const char *input = "na64root-output/pseudodata.root", const char *output = "cut_flow.pdf") {
    using namespace cut_flow_macro;
    if (gSystem->AccessPathName(input)) {
        std::cerr << "cut_flow.C: no file " << input
                  << " (nothing to read): give an ntuple, or write one with `make run`\n";
        gSystem->Exit(2);
    }
    ROOT::RDataFrame data("tree", input);
    for (const char *branch : branches)
        if (!data.HasColumn(branch)) {
            std::cerr
                << "cut_flow.C: " << input << " has no branch " << branch
                << " (this macro applies every cut): use `na64root analyze`, which skips what it cannot do\n";
            gSystem->Exit(2);
        }

    // Everything is booked here and filled by one event loop when the first number is asked for.
    struct Flow {
        std::string title;
        std::vector<std::string> names;
        std::vector<ROOT::RDF::RResultPtr<ULong64_t>> counts;
    };
    std::vector<Flow> flows;
    for (const auto &period : periods)
        for (const bool is_s1 : {true, false}) {
            const std::string runs = std::to_string(period.first_run) +
                                     "u <= run && run <= " + std::to_string(period.last_run) + "u";
            ROOT::RDF::RNode node = data.Filter(runs, period.name);
            Flow flow{std::string(period.name) + (is_s1 ? " S1" : " S2"), {"initial"}, {node.Count()}};
            for (const auto &cut : cuts) {
                const auto &expression = is_s1 ? cut.s1 : cut.s2;
                if (expression.empty())
                    continue;
                std::string body = "using namespace na64root; ";
                if (cut.name == "r")
                    body += std::string("constexpr HcalCore core = ") + period.hcal_core + "; ";
                node = node.Filter(body + "return " + expression + ";", cut.name);
                flow.names.push_back(cut.name);
                flow.counts.push_back(node.Count());
            }
            flows.push_back(flow);
        }

    gStyle->SetOptStat(0);
    auto *canvas = new TCanvas("cut_flow", "cut flow", 900, 600);
    canvas->SetLogy();
    canvas->SetTicks();
    canvas->SetMargin(0.09, 0.03, 0.16, 0.05);
    auto *stack = new THStack("cut_flow", ";;events left after the cut");
    auto *legend = new TLegend(0.80, 0.68, 0.96, 0.93);
    legend->SetBorderSize(0);
    const int colours[] = {kAzure + 1, kRed + 1, kGreen + 2}; // of the periods; S2 is dashed
    for (std::size_t i = 0; i < flows.size(); ++i) {
        auto &flow = flows[i];
        auto *histogram = new TH1D(flow.title.c_str(), "", cuts.size() + 1, 0, cuts.size() + 1);
        histogram->GetXaxis()->SetBinLabel(1, "initial");
        for (std::size_t k = 0; k < cuts.size(); ++k)
            histogram->GetXaxis()->SetBinLabel(k + 2, cuts[k].name.c_str());
        for (std::size_t k = 0; k < flow.counts.size(); ++k) {
            std::cout << flow.title << " " << flow.names[k] << " " << *flow.counts[k] << "\n";
            histogram->SetBinContent(histogram->GetXaxis()->FindBin(flow.names[k].c_str()), *flow.counts[k]);
        }
        histogram->SetLineColor(colours[i / 2]);
        histogram->SetLineWidth(2);
        histogram->SetLineStyle(i % 2 == 0 ? 1 : 2);
        stack->Add(histogram);
        legend->AddEntry(histogram, flow.title.c_str(), "l");
    }
    std::cout << "event loops: " << data.GetNRuns() << "\n";
    stack->SetMinimum(0.3);
    stack->Draw("nostack hist");
    stack->GetXaxis()->LabelsOption("v");
    legend->Draw();
    canvas->SaveAs(output);
}
