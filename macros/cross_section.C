// Dark bremsstrahlung e- Z -> e- Z A' against the A' mass, in the three approximations of the core.
//
//   .venv/bin/root -l -b -q macros/cross_section.C
//   .venv/bin/root -l -b -q 'macros/cross_section.C("W", 100.0, "cross_section.pdf")'
//
// The core is the library that Python uses, found beside the ROOT that runs this macro.
#pragma cling add_include_path("$ROOTSYS/../na64root/include")
#if !__has_include("na64root/dark_brem.hpp")
#error "na64root is not installed beside this ROOT: run with its own, .venv/bin/root, after `make build`"
#endif
#pragma cling load("$ROOTSYS/../na64root/lib/libna64root.so")
#include "na64root/dark_brem.hpp"
#include "na64root/materials.hpp"

#include "TCanvas.h"
#include "TGraph.h"
#include "TLegend.h"
#include "TMultiGraph.h"
#include "TString.h"
#include "TStyle.h"

#include <cmath>
#include <iostream>

void cross_section(const char *symbol = "Pb", double energy_GeV = 100.0,
                   const char *output = "cross_section.pdf") {
    using na64root::Approximation;
    constexpr double epsilon = 1e-4;
    constexpr int points = 36;
    constexpr double mass_min = 1e-3, mass_max = 3.0; // GeV

    struct Curve {
        Approximation approximation;
        const char *title;
        int colour, line_style;
        TGraph *graph;
    };
    Curve curves[] = {{Approximation::etl, "exact tree level", kBlack, 1, new TGraph},
                      {Approximation::ww, "Weizs#ddot{a}cker-Williams", kRed + 1, 2, new TGraph},
                      {Approximation::iww, "improved WW", kBlue + 1, 3, new TGraph}};

    const auto &element = na64root::element(symbol);
    std::cout << Form("%12s %14s %14s %14s   (pb per %s atom, E = %g GeV, epsilon = %g)\n", "mass [GeV]",
                      "ETL", "WW", "IWW", symbol, energy_GeV, epsilon);
    for (int i = 0; i < points; ++i) {
        const double mass = mass_min * std::pow(mass_max / mass_min, i / (points - 1.0));
        std::cout << Form("%12.5g", mass);
        for (auto &curve : curves) {
            const na64root::DarkBremsstrahlung process(mass, element, curve.approximation, epsilon);
            const double value = process.total(energy_GeV).value;
            std::cout << Form(" %14.6g", value);
            if (value > 0.0) // a closed channel has no place on a logarithmic axis
                curve.graph->AddPoint(mass, value);
        }
        std::cout << "\n";
    }

    gStyle->SetOptStat(0);
    auto *canvas = new TCanvas("cross_section", "cross section", 700, 600);
    canvas->SetLogx();
    canvas->SetLogy();
    canvas->SetTicks();
    canvas->SetMargin(0.13, 0.04, 0.12, 0.05);
    auto *graphs = new TMultiGraph;
    auto *legend = new TLegend(0.55, 0.72, 0.93, 0.92);
    legend->SetBorderSize(0);
    legend->SetHeader(
        Form("e^{-} %s #rightarrow e^{-} %s A', %g GeV, #varepsilon = 10^{-4}", symbol, symbol, energy_GeV));
    for (auto &curve : curves) {
        curve.graph->SetLineColor(curve.colour);
        curve.graph->SetLineStyle(curve.line_style);
        curve.graph->SetLineWidth(2);
        graphs->Add(curve.graph, "L");
        legend->AddEntry(curve.graph, curve.title, "l");
    }
    graphs->SetTitle(";m_{A'} [GeV];#sigma per atom [pb]");
    graphs->Draw("A");
    graphs->GetXaxis()->SetTitleOffset(1.2);
    graphs->GetYaxis()->SetTitleOffset(1.4);
    legend->Draw();
    canvas->SaveAs(output);
}
